"""The files of `docker compose`: Compose accepts them, and no service has more rights or fewer guards than it needs."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from service.settings import Settings

DOCKER = Path(__file__).parents[2] / "docker"
FILES = ("compose.yaml", "compose.gpu.yaml")
MAIN, GPU = (yaml.safe_load((DOCKER / file).read_text()) for file in FILES)
SERVICES = MAIN["services"]

service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


@pytest.mark.parametrize("file", FILES)
def test_keeps_to_the_compose_specification(file):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", DOCKER / file]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@service
def test_has_no_rights_to_lose(service):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.get("privileged")


@service
def test_writes_to_named_volumes_and_memory_alone(service):
    assert {mount.split(":")[0] for mount in service["volumes"]} <= set(MAIN["volumes"])
    assert "/tmp" in {mount.split(":")[0] for mount in service["tmpfs"]}


@service
def test_a_password_is_asked_for_and_has_no_default(service):
    secrets = {name: value for name, value in service["environment"].items() if "PASSWORD" in name}
    assert secrets
    for value in secrets.values():
        assert value.startswith("${POSTGRES_PASSWORD:?")


def test_no_url_carries_a_password():
    for file in FILES:
        assert "://crlso:" not in (DOCKER / file).read_text()


def test_the_service_waits_for_a_database_that_answers():
    assert SERVICES["crlso"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert "pg_isready" in SERVICES["database"]["healthcheck"]["test"]


def test_only_this_machine_reaches_the_service_and_nobody_the_database():
    assert SERVICES["crlso"]["ports"] == ["${CRLSO_PUBLISH:-127.0.0.1:8000}:8000"]
    assert "ports" not in SERVICES["database"]
    assert [MAIN["networks"][name] for name in SERVICES["database"]["networks"]] == [{"internal": True}]


def test_every_setting_is_known_to_the_service():
    known = {f"CRLSO_{name.upper()}" for name in Settings.model_fields}
    for document in (MAIN, GPU):
        given = document["services"]["crlso"]["environment"]
        assert {name for name in given if name.startswith("CRLSO_")} <= known


def test_the_override_reserves_gpus_for_the_service_alone():
    assert list(GPU["services"]) == ["crlso"]
    (device,) = GPU["services"]["crlso"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
