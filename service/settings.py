"""What the service can be told through the environment: every field is read from `CRLSO_<NAME>`."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where the models are, where to listen and how much to take on at once."""

    model_config = SettingsConfigDict(env_prefix="CRLSO_", frozen=True)

    models: Path = Field(Path("models"), description="directory of trained models, one folder each")
    supernets: Path = Field(Path("supernets"), description="directory of trained supernets, one folder each")
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535, description="0 lets the system choose one")
    max_body_bytes: int = Field(4 * 2**20, ge=1, description="larger request bodies are answered 413")
    workers: int = Field(os.cpu_count() or 1, ge=1, description="optimisations that run at the same time")
    max_waiting: int = Field(32, ge=0, description="optimisations that may wait for a worker; more are answered 503")
