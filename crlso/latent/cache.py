"""Latent spaces without labels, kept between processes: what is learned once a space is not learned once a search.

Only weights are kept, a file of safetensors each; what was sampled is sampled again. The name is a digest of all that
the weights depend on, crlso's own code included, so that a file is either what would be learned now or not looked at.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from functools import cache, lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from crlso.files import replacing
from crlso.latent.config import PRESETS, LatentConfig
from crlso.latent.space import LatentSpace, explore, untrained
from crlso.spaces import SearchSpace


def cache_folder() -> Path:
    """`CRLSO_CACHE`, or `crlso` among the user's caches."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "crlso"
    return Path(os.environ.get("CRLSO_CACHE") or default)


@lru_cache(maxsize=4)
def latent_space(space: SearchSpace) -> LatentSpace:
    """The space as `explore` learns it by default: preset `listed` where classes can be listed, `large` elsewhere."""
    return kept(space, PRESETS["listed" if space.enumerable else "large"])


def kept(space: SearchSpace, config: LatentConfig) -> LatentSpace:
    """What `explore` learns with seed 0, read from the cache if it is there and left there if not."""
    path = cache_folder() / f"{space.name}-{_digest(space, config)[:32]}.safetensors"
    if path.is_file():
        latent = untrained(space, config)
        try:
            latent.vae.load_state_dict(load_file(path))
        except (SafetensorError, RuntimeError, OSError) as error:
            warnings.warn(f"{path} cannot be read and is learned anew: {error}", stacklevel=2)
        else:
            latent.vae.requires_grad_(False)
            return latent
    latent = explore(space, config)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, path.with_name(f".{path.name}.{os.getpid()}.partial")) as file:
            file.write(save({name: tensor.contiguous() for name, tensor in latent.vae.state_dict().items()}))
    except OSError as error:
        warnings.warn(f"{path} cannot be kept, name a folder in CRLSO_CACHE: {error}", stacklevel=2)
    return latent


def _digest(space: SearchSpace, config: LatentConfig) -> str:
    said = (space.name, space.source or "", config.model_dump_json(), torch.__version__, _code())
    return hashlib.sha256("\0".join(said).encode()).hexdigest()


@cache
def _code() -> str:
    """SHA-256 of crlso's modules."""
    sha = hashlib.sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        sha.update(file.read_bytes())
    return sha.hexdigest()
