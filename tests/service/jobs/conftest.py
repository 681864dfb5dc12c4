"""A record and the settings of a service whose jobs are carried out here."""

import pytest

from service.settings import Settings
from service.store.database import Database
from service.store.jobs import JobStore


@pytest.fixture
def settings(tmp_path):
    return Settings(
        models=tmp_path / "models",
        supernets=tmp_path / "supernets",
        images=tmp_path / "images",
        data=tmp_path / "data",
        lease=2.0,
    )


@pytest.fixture
def store(settings):
    database = Database(settings.database)
    database.migrate()
    yield JobStore(database)
    database.close()
