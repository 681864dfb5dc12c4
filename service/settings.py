"""What the service can be told through the environment: every field is read from `CRLSO_<NAME>`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url

from service.addresses import is_loopback


class Settings(BaseSettings):
    """Where things are kept, where to listen, whom to let in and how much to take on at once."""

    model_config = SettingsConfigDict(env_prefix="CRLSO_", frozen=True)

    models: Path = Field(Path("models"), description="directory of trained models, one folder each")
    supernets: Path = Field(Path("supernets"), description="directory of trained supernets, one folder each")
    data: Path = Field(Path("data"), description="directory of the record and of jobs under way")
    database_url: str | None = Field(
        None, description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; crlso.db in the data when left out"
    )
    host: str = Field("127.0.0.1", description="address to listen at")
    port: int = Field(8000, ge=0, le=65535, description="0 lets the system choose one")
    keys: bool | None = Field(None, description="whether requests need an API key; off by default at loopback alone")
    keyless: bool = Field(False, description="do without keys at other addresses: whoever reaches it may do everything")
    rate: float = Field(200.0, gt=0, description="requests a second that a caller may make on average")
    burst: int = Field(400, ge=1, description="requests that a caller may make at once")
    max_jobs: int = Field(100, ge=1, description="jobs of a caller that may be queued or running")
    images: Path = Field(Path("images"), description="directory of the image data that jobs may name")
    device: str = Field("cpu", description="where jobs train, as torch names it")
    job_threads: int = Field(1, ge=1, description="of the CPU, for each job")
    slots: int = Field(1, ge=1, description="jobs that run at the same time")
    lease: float = Field(15.0, gt=0, description="seconds without a heartbeat after which a job's worker is given up")
    max_losses: int = Field(3, ge=1, description="workers that a job may lose before it has failed")
    ray_address: str | None = Field(
        None,
        description="of a Ray cluster that carries out jobs, auto or HOST:PORT; this machine if not set",
    )
    ray_gpus: float = Field(0.0, ge=0, description="GPUs for each job worth one, on Ray; the others use the CPU there")
    wait: float = Field(
        2.0, ge=0, le=60, description="seconds that a request waits for its answer before it is a job's"
    )
    otlp_endpoint: str | None = Field(
        None, description="URL of an OpenTelemetry collector's traces, as in http://localhost:4318/v1/traces"
    )
    log_json: bool = Field(False, description="write the log as JSON, an object a line")
    max_body_bytes: int = Field(4 * 2**20, ge=1, description="larger request bodies are answered 413")
    max_upload_bytes: int = Field(256 * 2**20, ge=1, description="the same for models that are brought")
    defaults: tuple[str, ...] = Field(
        (), description="JSON list of models that answer where a space has several and a request names none"
    )
    body_seconds: float = Field(20.0, gt=0, description="request bodies that take longer to come are answered 408")
    workers: int = Field(
        os.cpu_count() or 1,
        ge=1,
        description="optimisations at the same time, each in a process of some 80 MB once needed",
    )
    max_waiting: int = Field(
        32, ge=0, description="optimisations that may wait for such a process; more are answered 503"
    )

    def environment(self) -> dict[str, str]:
        """What a process needs to have the same settings."""
        known = {name: value for name, value in self if value is not None}
        texts = {name: json.dumps(value) if isinstance(value, tuple) else str(value) for name, value in known.items()}
        return {f"CRLSO_{name.upper()}": text for name, text in texts.items()}

    def absolute(self) -> Settings:
        """The same for a process that runs in another directory."""
        paths: dict[str, Any] = {name: value.absolute() for name, value in self if isinstance(value, Path)}
        if self.database_url is not None and (url := make_url(self.database_url)).drivername.startswith("sqlite"):
            url = url.set(database=str(Path(url.database or "").absolute()))
            paths["database_url"] = url.render_as_string(hide_password=False)
        return self.model_copy(update=paths)

    @property
    def database(self) -> str:
        """URL of the record."""
        return self.database_url or f"sqlite:///{self.data / 'crlso.db'}"

    @property
    def keyed(self) -> bool:
        """Whether requests need a key."""
        return self.keys if self.keys is not None else not (self.keyless or is_loopback(self.host))

    @model_validator(mode="after")
    def _guarded(self) -> Settings:
        if not (self.keyed or self.keyless or is_loopback(self.host)):
            raise ValueError(
                f"{self.host} can be reached from elsewhere and CRLSO_KEYS is off: leave it out, or set "
                "CRLSO_KEYLESS=true where whoever reaches the service may do everything"
            )
        return self
