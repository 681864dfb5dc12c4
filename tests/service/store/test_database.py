"""Migrations make what the schema says, and a database that fails is an error of its own that passes."""

import threading
from multiprocessing import get_context

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from service.store.database import Database, SettingError, StoreError
from service.store.schema import metadata


def test_migrations_make_the_schema(database):
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_changes_nothing(database):
    with database.writing() as connection:
        connection.execute(text("INSERT INTO audit (time, owner, action, target) VALUES (0, 'a', 'b', 'c')"))
    database.migrate()
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.scalar(text("SELECT count(*) FROM audit")) == 1


def migrate(url):
    Database(url).migrate()


def test_servers_that_start_together_migrate_once(database_url):
    processes = [get_context("spawn").Process(target=migrate, args=(database_url,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]


def test_a_transaction_is_whole_or_nothing(database):
    def write_and_fail():
        with database.writing() as connection:
            connection.execute(text("INSERT INTO audit (time, owner, action, target) VALUES (0, 'a', 'b', 'c')"))
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    with database.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM audit")) == 0


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense"])
def test_urls_that_name_no_database(url):
    with pytest.raises(SettingError):
        Database(url).migrate()


def test_a_locked_database_is_waited_for_and_then_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("service.store.database._PATIENCE", 0.2)
    url = f"sqlite:///{tmp_path / 'a.db'}"
    holder, other = Database(url), Database(url)
    holder.migrate()
    held, free = threading.Event(), threading.Event()

    def hold():
        with holder.writing():
            held.set()
            free.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with pytest.raises(StoreError), other.writing():
        pass
    free.set()
    thread.join()
    with other.writing():
        pass


def test_a_full_disk_is_an_error_that_passes(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'a.db'}")
    database.migrate()
    with database.reading() as connection:
        pages = connection.scalar(text("PRAGMA page_count"))

    def fill(most):
        with database.writing() as connection:
            connection.execute(text(f"PRAGMA max_page_count={most}"))
            for _ in range(40):
                row = {"target": "x" * 4000}
                connection.execute(
                    text("INSERT INTO audit (time, owner, action, target) VALUES (0, 'a', 'b', :target)"), row
                )

    with pytest.raises(StoreError, match="full"):
        fill(pages + 2)
    fill(10_000)
    with database.reading() as connection:
        assert connection.scalar(text("SELECT count(*) FROM audit")) == 40


def test_a_server_that_comes_back_is_met_again(postgres_server):
    database = Database(postgres_server.create("restarted"))
    database.migrate()
    with database.reading() as connection:
        connection.execute(text("SELECT 1"))
    postgres_server.stop()
    with pytest.raises(StoreError), database.reading():
        pass
    postgres_server.start()
    with database.reading() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
