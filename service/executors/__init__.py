"""Where jobs are carried out: in processes of this machine, or by Ray."""

from __future__ import annotations

from service.executors.local import LocalExecutor
from service.jobs.dispatcher import Executor
from service.settings import Settings
from service.store.database import SettingError


def make_executor(settings: Settings) -> Executor:
    """The executor that the settings choose.

    Raises:
        SettingError: it is Ray, and Ray is not installed.
    """
    if settings.ray_address is None:
        return LocalExecutor(settings)
    try:
        from service.executors.ray import RayExecutor
    except ModuleNotFoundError as error:
        raise SettingError(f"{error.name} is not installed: pip install 'crlso[ray]'") from error
    return RayExecutor(settings)
