"""Where a supernet is trained, and whether it fits there."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from crlso.exceptions import ProblemError
from crlso.supernet.memory import memory_estimate
from crlso.supernet.network import FlexibleSupernet

_MEMINFO = Path("/proc/meminfo")


def choose_device(name: str) -> torch.device:
    """The device of a name; under torchrun `cuda` is the one of the process's rank.

    Raises:
        ProblemError: torch knows no such device, or the machine has none.
    """
    try:
        device = torch.device(name)
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.zeros(1, device=device).tolist()  # there may be no numbers behind a device that takes tensors
    except (RuntimeError, AssertionError, NotImplementedError, ImportError) as error:
        there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        reason = str(error).splitlines()[0]
        raise ProblemError(f"no device {name!r} here ({reason}); there are {', '.join(there)}") from error
    if device.type == "cuda":
        torch.cuda.set_device(device)  # whose generator and communicator torch then means
    return device


def free_memory(device: torch.device) -> int | None:
    """Bytes that are free on a device, None where the system does not tell."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type != "cpu" or not _MEMINFO.is_file():
        return None
    lines = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines() if ":" in line)
    return 1024 * int(lines["MemAvailable"].split()[0]) if "MemAvailable" in lines else None


def check_memory(
    supernet: FlexibleSupernet, batch: int, input_shape: tuple[int, int, int], *, moments: int
) -> tuple[int, int | None]:
    """Find out before training whether it fits.

    Args:
        supernet: on its device.
        batch: images that a process sends through the network at once.
        input_shape: (C, H, W) of one image.
        moments: tensors that the optimiser keeps for a parameter.

    Returns:
        bytes that training takes and bytes that are free, None where the system does not tell.

    Raises:
        ProblemError: it does not fit; the message says which batch would.
    """
    device = next(supernet.parameters()).device
    fixed, needed = (memory_estimate(supernet, size, input_shape, moments=moments) for size in (0, batch))
    free = free_memory(device)
    if free is None or needed <= free:
        return needed, free
    fitting = int((free - fixed) * batch // max(1, needed - fixed))
    remedy = f"a batch of {fitting} fits" if fitting > 0 else "not even one image fits: take fewer channels or cells"
    raise ProblemError(
        f"a batch of {batch} takes about {needed / 1e9:.1f} GB on {device}, where {free / 1e9:.1f} GB are free; "
        f"{remedy}, `accumulate` cuts a batch into pieces, `checkpointed` cells are computed twice instead of kept"
    )
