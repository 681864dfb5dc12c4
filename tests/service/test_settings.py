from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings


def test_listens_on_this_machine_only_by_default():
    settings = Settings()
    assert (settings.host, settings.port, settings.models) == ("127.0.0.1", 8000, Path("models"))


def test_reads_the_environment(monkeypatch):
    monkeypatch.setenv("CRLSO_MODELS", "elsewhere")
    monkeypatch.setenv("CRLSO_PORT", "9000")
    settings = Settings()
    assert (settings.port, settings.models) == (9000, Path("elsewhere"))


@pytest.mark.parametrize(("name", "value"), [("PORT", "70000"), ("WORKERS", "0"), ("MAX_WAITING", "-1")])
def test_refuses_what_makes_no_sense(monkeypatch, name, value):
    monkeypatch.setenv(f"CRLSO_{name}", value)
    with pytest.raises(ValidationError):
        Settings()
