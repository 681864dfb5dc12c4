"""A model on disk: a directory of plain files, never a pickle, whose digest vouches for every byte.

    model.safetensors       weights, calibration, latents of the known architectures
    config.json             LatentConfig
    architectures.txt       the known architectures in their native notation, one a line
    measurements.parquet    the table of the metric, where there is one
    space.yaml              the description of the space, where it is a user's own
    manifest.json           space, metric, training, quality, SHA-256 of the files above, and its own

The manifest holds no time, date or path: the same training on the same machine writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from crlso.exceptions import BundleError, CrlsoError
from crlso.latent.config import LatentConfig
from crlso.latent.model import Model
from crlso.latent.vae import GraphVAE
from crlso.spaces import SearchSpace, get_space, read_space, register_space
from crlso.tables import Metric, Table, read_table, write_table

FORMAT = 1
"""Number of this layout; a bundle with another one is refused."""

_WEIGHTS, _CONFIG, _KNOWN = "model.safetensors", "config.json", "architectures.txt"
_TABLE, _SPACE, _MANIFEST = "measurements.parquet", "space.yaml", "manifest.json"
FILES = (_WEIGHTS, _CONFIG, _KNOWN, _TABLE, _SPACE, _MANIFEST)
"""Names of the files that a bundle may have."""
_LATENTS = "latents"


def check_free(path: Path, *, overwrite: bool) -> None:
    """Find out before the training whether `save_bundle` would refuse a directory.

    Raises:
        BundleError: something is there that must not, or without leave, be replaced.
    """
    if not path.exists():
        return
    if not (path / _MANIFEST).is_file():
        raise BundleError(f"{path} is there already and is no bundle: choose another directory")
    if not overwrite:
        raise BundleError(f"{path} holds a model already: choose another directory, or replace it (--force)")


def save_bundle(
    path: Path,
    vae: GraphVAE,
    space: SearchSpace,
    metric: Metric,
    known: tuple[str, ...],
    latents: torch.Tensor,
    table: Table | None,
    provenance: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> None:
    """Write a bundle: all of it or, on any error, nothing.

    Args:
        path: the directory to make.
        vae: trained networks.
        space: of the architectures.
        metric: what they predict.
        known: representatives of the classes trained on, as the space formats them.
        latents: their latents [K, Z].
        table: measurements of the metric, if any.
        provenance: what else the manifest says; plain JSON values.
        overwrite: whether a bundle at the path may be replaced.

    Raises:
        BundleError: the directory may not be replaced or cannot be written.
    """
    check_free(path, overwrite=overwrite)
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in vae.state_dict().items()}
        (partial / _WEIGHTS).write_bytes(save({**tensors, _LATENTS: latents.cpu().contiguous()}))
        (partial / _CONFIG).write_text(vae.config.model_dump_json(indent=2) + "\n")
        (partial / _KNOWN).write_text("\n".join(known) + "\n")
        if table is not None:
            write_table(table, partial / _TABLE)
        if space.source is not None:
            (partial / _SPACE).write_text(space.source, encoding="utf-8")
        files = {file.name: _sha256(file.read_bytes()) for file in sorted(partial.iterdir())}
        body = {"format": FORMAT, "space": space.name, "metric": asdict(metric), **provenance, "files": files}
        (partial / _MANIFEST).write_bytes(_manifest_bytes({**body, "digest": _digest(body)}))
        old = path.with_name(f".{path.name}.old")
        shutil.rmtree(old, ignore_errors=True)  # a save that was killed may have left it
        if path.exists():
            path.rename(old)
        partial.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise BundleError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load_bundle(path: str | Path, device: torch.device | str = "cpu") -> Model:
    """Read a bundle, after checking every byte of it.

    Raises:
        BundleError: there is none, or it is corrupt, truncated, foreign or of another version.
    """
    path = Path(path)
    manifest = _checked_manifest(path)
    try:
        space = _space(path, manifest)
        metric = Metric(**manifest["metric"])
        config = LatentConfig.model_validate_json((path / _CONFIG).read_text())
        with torch.random.fork_rng(devices=[]):  # the initial weights are drawn, if only to be replaced
            vae = GraphVAE(config, space.schema)
        tensors = load_file(path / _WEIGHTS)
        latents = tensors.pop(_LATENTS)
        vae.load_state_dict(tensors)
        known = tuple(space.parse(text) for text in (path / _KNOWN).read_text().split("\n")[:-1])
        table = read_table(path / _TABLE) if _TABLE in manifest["files"] else None
    except (CrlsoError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        raise BundleError(f"{path} is not a bundle that this version of crlso can read: {error}") from error
    vae.to(device).eval().requires_grad_(False)
    name = path.resolve().name
    return Model(name, space, metric, vae, known, latents.to(device), table, manifest, manifest["digest"])


def _space(path: Path, manifest: Mapping[str, Any]) -> SearchSpace:
    """The space of that name, or the user's own one that the bundle brings."""
    if _SPACE not in manifest["files"]:
        return get_space(manifest["space"])
    return register_space(read_space((path / _SPACE).read_text(encoding="utf-8")))


def _checked_manifest(path: Path) -> dict[str, Any]:
    """The manifest, once it and the files it lists are what was written."""
    try:
        content = (path / _MANIFEST).read_bytes()
    except OSError as error:
        raise BundleError(f"{path} is no bundle: it has no readable {_MANIFEST}; `crlso train` makes one") from error
    try:
        manifest: dict[str, Any] = json.loads(content)
        body = {key: value for key, value in manifest.items() if key != "digest"}
        intact = manifest["digest"] == _digest(body) and content == _manifest_bytes(manifest)
        files = dict(manifest["files"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"{path / _MANIFEST} is not a manifest of crlso: train the model again") from error
    if not intact:
        raise BundleError(f"{path / _MANIFEST} was changed after it was written: train the model again")
    if manifest.get("format") != FORMAT:
        raise BundleError(f"{path} has format {manifest.get('format')}, not {FORMAT}: train the model again")
    if strangers := sorted(set(files) - set(FILES)):  # a name may be a path to anywhere
        raise BundleError(f"{path / _MANIFEST} lists {strangers[0]!r}, which is no file of a bundle")
    for file, digest in files.items():
        try:
            changed = _sha256((path / file).read_bytes()) != digest
        except OSError as error:
            raise BundleError(f"{path / file} is missing or unreadable: train the model again") from error
        if changed:
            raise BundleError(f"{path / file} was changed after it was written: train the model again")
    return manifest


def _digest(body: Mapping[str, Any]) -> str:
    return _sha256(_manifest_bytes(body))


def _manifest_bytes(manifest: Mapping[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
