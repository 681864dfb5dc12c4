"""Keys open what they should, for as long as they should, and their secrets are kept nowhere."""

import time

import pytest
from sqlalchemy import select

from service.store.keys import KeyStore
from service.store.rows import NotFoundError
from service.store.schema import audit, keys


@pytest.fixture
def store(database):
    return KeyStore(database)


def test_a_key_is_known_by_its_text_alone(store):
    key, text = store.create("mine", "submit")
    assert store.check(text) == key
    for wrong in (
        text[:-1],
        text + "a",
        text.upper(),
        text.replace("crlso", "other"),
        key.id,
        "",
        "crlso_",
        "ä" + text,
    ):
        assert store.check(wrong) is None


def test_the_secret_is_not_kept(store, database):
    _, text = store.create("mine", "read")
    secret = text.split("_", 2)[2]
    with database.reading() as connection:
        rows = [str(tuple(row)) for row in connection.execute(select(keys))]
    assert not [row for row in rows if secret in row or text in row]


def test_keys_end(store):
    assert store.check(store.create("over", "read", expires=time.time() - 1)[1]) is None
    assert store.check(store.create("later", "read", expires=time.time() + 60)[1]) is not None
    key, text = store.create("revoked", "read")
    first = store.revoke(key.id)
    assert store.check(text) is None
    assert store.revoke(key.id) == first
    with pytest.raises(NotFoundError):
        store.revoke("nobody")


def test_all_keys_are_listed(store):
    made = [store.create(name, "read")[0] for name in ("a", "b")]
    assert store.list() == made


def test_what_was_done_is_written_down(store, database):
    store.write_down("me", "study.delete", "x")
    with database.reading() as connection:
        (row,) = connection.execute(select(audit))
    assert (row.owner, row.action, row.target) == ("me", "study.delete", "x")
