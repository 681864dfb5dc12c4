"""One job in several processes, each with a share of every batch: data parallelism under torchrun.

A batch is cut into as many pieces as there are processes, times `accumulate`; a piece is what goes through the network
at once. Gradients are means over all pieces, so what is learned depends on the number of pieces and not on who
computes them: two processes equal one that accumulates two pieces, up to the order of sums.

Parameters of a shrinking supernet are replaced when something dies. `DistributedDataParallel` knows its parameters for
good, so gradients are averaged here by one all-reduce of all of them in a row after the backward pass.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from crlso.exceptions import ProblemError


@dataclass(frozen=True)
class World:
    """The processes of a job.

    Attributes:
        rank: number of this one.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def pieces(self, tensors: Sequence[Tensor], accumulate: int = 1) -> list[tuple[Tensor, ...]]:
        """This process's pieces of a batch, which all processes hold in full: images and labels, say.

        Raises:
            ProblemError: some piece would be empty.
        """
        count, images = self.size * accumulate, len(tensors[0])
        if images < count:
            raise ProblemError(
                f"a batch of {images} cannot be cut into {count} pieces: take a larger batch, or lower `accumulate`"
            )
        cut = list(zip(*(tensor.tensor_split(count) for tensor in tensors), strict=True))
        return cut[self.rank * accumulate : (self.rank + 1) * accumulate]

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace the tensors of every process by their mean over processes."""
        if self.size == 1:
            return
        by_dtype: dict[torch.dtype, list[Tensor]] = {}
        for tensor in tensors:
            by_dtype.setdefault(tensor.dtype, []).append(tensor)
        for group in by_dtype.values():
            flat = torch.cat([tensor.flatten() for tensor in group])
            dist.all_reduce(flat)
            flat /= self.size
            parts = flat.split([tensor.numel() for tensor in group])
            for tensor, part in zip(group, parts, strict=True):
                tensor.copy_(part.view_as(tensor))

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """The world that torchrun made, or that of this process alone where it did not; it can be joined again."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    if not dist.is_initialized():  # torch cannot make a group anew after it was destroyed, so it lasts
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(dist.destroy_process_group)
    yield World(dist.get_rank(), size)
