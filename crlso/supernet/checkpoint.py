"""State of a run in one file of safetensors: tensors by number, and everything else as JSON in its header.

A state is whatever nests in mappings and lists: tensors, numbers, texts, truth values and None, as an optimiser's
`state_dict` is. It comes back as it was, keys that are numbers included, and floats to the last bit. The file is
written beside its name and renamed, so a run that is killed at any moment leaves the old checkpoint or the new one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from crlso.exceptions import ProblemError
from crlso.files import replacing

PARTIAL = ".partial"
"""Ends the names of files that were not written to their end."""

_STATE = "state"
_KINDS = ("tensor", "mapping", "list", "value")


def save_state(path: Path, state: Any) -> None:
    """Write a state, whole or not at all.

    Raises:
        ProblemError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    described = json.dumps(_describe(state, tensors))
    write_whole(path, save(tensors, {_STATE: described}))


def load_state(path: Path, device: torch.device | str = "cpu") -> Any:
    """Read what `save_state` wrote.

    Args:
        path: the file.
        device: where its tensors are wanted.

    Raises:
        ProblemError: there is no such file, or it is no checkpoint.
    """
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            described = json.loads((file.metadata() or {})[_STATE])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        return _restore(described, tensors)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise ProblemError(f"{path} cannot be read as a checkpoint: {error}") from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all.

    Raises:
        ProblemError: it cannot be written.
    """
    try:
        with replacing(path, path.with_name(f".{path.name}{PARTIAL}")) as file:
            file.write(content)
    except OSError as error:
        raise ProblemError(f"{path} cannot be written: {error.strerror or error}") from error


def _describe(state: Any, tensors: dict[str, Tensor]) -> list[Any]:
    """A kind and its content; tensors are gathered under their numbers."""
    if isinstance(state, Tensor):
        name = str(len(tensors))
        tensors[name] = state.detach().cpu().contiguous().clone()  # two names of one storage are refused
        return ["tensor", name]
    if isinstance(state, dict):
        return ["mapping", [[key, _describe(value, tensors)] for key, value in state.items()]]
    if isinstance(state, list | tuple):
        return ["list", [_describe(value, tensors) for value in state]]
    return ["value", state]


def _restore(described: list[Any], tensors: dict[str, Tensor]) -> Any:
    kind, content = described
    if kind not in _KINDS:
        raise ValueError(f"unknown kind {kind!r}")
    if kind == "tensor":
        return tensors[content]
    if kind == "mapping":
        return {key: _restore(value, tensors) for key, value in content}
    if kind == "list":
        return [_restore(value, tensors) for value in content]
    return content
