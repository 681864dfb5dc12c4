"""What an operator does from a shell."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crlso.cli import app
from service.commands import settings_table
from service.settings import Settings
from service.store.database import Database
from service.store.keys import KeyStore

ROOT = Path(__file__).parents[2]


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.setenv("CRLSO_DATA", str(tmp_path))

    def call(*arguments, code=0):
        done = CliRunner().invoke(app, ["service", *arguments])
        assert done.exit_code == code, done.output
        return done

    return call


def test_a_key_from_making_to_revoking(call, tmp_path):
    text = call("keys", "create", "--name", "mine", "--scope", "read", "--days", "2").stdout.strip()
    store = KeyStore(Database(f"sqlite:///{tmp_path / 'crlso.db'}"))
    key = store.check(text)
    assert (key.name, key.scope) == ("mine", "read")
    assert key.id in call("keys", "list").stdout
    call("keys", "revoke", key.id)
    assert store.check(text) is None


def test_misuse(call, monkeypatch):
    assert "no scope" in call("keys", "create", "--name", "a", "--scope", "all", code=2).output
    assert "no key" in call("keys", "revoke", "nobody", code=2).output
    monkeypatch.setenv("CRLSO_DATABASE_URL", "mysql://x/y")
    assert "CRLSO_DATABASE_URL" in call("migrate", code=2).output
    monkeypatch.setenv("CRLSO_PORT", "many")
    assert "CRLSO_PORT" in call("migrate", code=2).output


def test_the_documented_settings_are_those_that_exist(call):
    assert all(field.description for field in Settings.model_fields.values())
    assert settings_table() in (ROOT / "docs" / "configuration.md").read_text()
    assert call("settings").stdout.strip() == settings_table()


def test_the_committed_reference_names_every_path(call):
    page = (ROOT / "docs" / "api.md").read_text()
    assert call("reference").stdout == page, "write it anew: crlso service reference > docs/api.md"
    for path in json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]:
        assert f" {path}`" in page


def test_the_committed_document_is_that_of_the_service(call):
    committed = (ROOT / "docs" / "openapi.json").read_text()
    assert call("openapi").stdout == committed, "write it anew: crlso service openapi > docs/openapi.json"
