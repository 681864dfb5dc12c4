"""Settings that a user changes by text, `name=value`: checked by their pydantic model, and faults said in one line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from crlso.exceptions import ProblemError, unknown

Settings = TypeVar("Settings", bound=BaseModel)


def make_settings(model: type[Settings], given: Mapping[str, Any], changes: Iterable[str] = ()) -> Settings:
    """Settings from plain values, some of which are changed.

    Args:
        model: of the settings.
        given: values by name; what is left out has the model's default.
        changes: `name=value` each, the value as JSON or as plain text; `outer.name=value` for settings within settings.

    Raises:
        UnknownNameError: a setting that there is not; the message lists the known ones.
        ProblemError: a change that is none, or a value that the setting does not take.
    """
    settings = dict(given)
    for change in changes:
        name, equals, text = change.partition("=")
        *path, last = name.split(".")
        if (first := (*path, last)[0]) not in model.model_fields:
            raise unknown("setting", first, model.model_fields)
        if not equals:
            raise ProblemError(f"{change!r} is no change of a setting: write name=value")
        inner = settings
        for part in path:
            if not isinstance(content := inner.get(part, {}), Mapping):
                raise ProblemError(f"{name} is no setting: {part} is {content!r} and has none of its own")
            inner[part] = dict(content)
            inner = inner[part]
        try:
            inner[last] = json.loads(text)
        except ValueError:
            inner[last] = text
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ProblemError(f"settings out of range: {faults}") from error
