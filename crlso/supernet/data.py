"""Images to train on: where they come from, their halves, and their batches.

Four sources: scikit-learn's digits, which need no download; an `.npz` file; the folders in which CIFAR-10 and CIFAR-100
come for Python; and folders of pictures, a class each. All end as unsigned bytes in memory, [N, C, H, W], so a data set
is moved to the device once and a batch is cut, augmented and normalised there.

An epoch is a function of (seed, number): who resumes at epoch 7 sees the images that an uninterrupted run sees. A
differentiable search trains weights and architecture parameters on disjoint halves of the training images [Liu2019]_.

Deviations: halves hold equally many images of each class, where DARTS cuts a random order in the middle; the batches of
an epoch differ in size by one at most, so that none is a remainder too small for batch statistics.

.. [Liu2019] H. Liu, K. Simonyan, Y. Yang. DARTS: Differentiable Architecture Search. ICLR 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from crlso.exceptions import DataError
from crlso.supernet.augment import Augmentation

_RESIDENT = 0.25  # share of a device's free memory that images may take there; the rest is for the network


@dataclass(frozen=True)
class Part:
    """Images and their classes."""

    x: UInt8[Tensor, "N C H W"]
    y: Int64[Tensor, "N"]

    def __len__(self) -> int:
        return len(self.y)

    def split(self, share: float, seed: int) -> tuple[Part, Part]:
        """Two disjoint parts of the same mix of classes, the second of that share, both up to one image, by a seed."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        order = order[self.y[order].argsort(stable=True)]
        ends = (torch.arange(len(self) + 1, dtype=torch.float64) * share).floor()
        chosen = ends.diff() > 0
        first, second = order[~chosen].sort().values, order[chosen].sort().values
        return Part(self.x[first], self.y[first]), Part(self.x[second], self.y[second])

    def halves(self, seed: int) -> tuple[Part, Part]:
        """Two disjoint parts of the same size and mix of classes, both up to one image, by a seed."""
        return self.split(0.5, seed)


@dataclass(frozen=True)
class Images:
    """A data set.

    Attributes:
        train: what is learned from.
        test: what is scored on.
        classes: name of each class, by number.
        mirrored: whether an image's mirror image shows the same class.
        mean: of each channel over the training images, in units of full intensity.
        std: standard deviation likewise.
    """

    train: Part
    test: Part
    classes: tuple[str, ...]
    mirrored: bool = True
    mean: Float[Tensor, "C"] = field(init=False)
    std: Float[Tensor, "C"] = field(init=False)

    def __post_init__(self) -> None:
        for name, part in (("training", self.train), ("test", self.test)):
            if not len(part):
                raise DataError(f"there is no {name} image")
            if not 0 <= int(part.y.min()) <= int(part.y.max()) < len(self.classes):
                raise DataError(f"{name} labels lie outside 0 … {len(self.classes) - 1}, the classes that are named")
        if len(self.train.y.unique()) < 2:
            raise DataError("all training images are of one class: there is nothing to tell apart")
        if self.train.x.shape[1:] != self.test.x.shape[1:]:
            sizes = [tuple(part.x.shape[1:]) for part in (self.train, self.test)]
            raise DataError(f"training images are {sizes[0]} (C, H, W), test images {sizes[1]}: bring them to one size")
        mean, std = _moments(self.train.x)
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.train.x.shape[1:]
        return channels, height, width

    def augmentation(self, cutout: int = 0) -> Augmentation:
        """What DARTS does to a training image: a shift by an eighth of its size at most, a mirror image, cutout.

        Args:
            cutout: side in pixels of the square that is blanked; 0 for none.
        """
        return Augmentation(self.mean, self.std, shift=self.shape[1] // 8, mirrored=self.mirrored, cutout=cutout)

    def plain(self) -> Augmentation:
        """Normalisation alone, for scoring."""
        return Augmentation(self.mean, self.std)


class Batches:
    """The batches of any epoch of a part, augmented, on a device.

    Images stay on the device where they fit, and are sent batch by batch otherwise.
    """

    def __init__(
        self,
        part: Part,
        batch: int,
        seed: int,
        augmentation: Augmentation,
        device: torch.device | str = "cpu",
    ) -> None:
        """Bring the images where they are needed.

        Args:
            part: what to walk through.
            batch: images a batch at most.
            seed: of the order and of the augmentation; with an epoch's number it determines both.
            augmentation: what happens to a batch of bytes.
            device: where batches are wanted.
        """
        if batch < 1:
            raise DataError(f"a batch of {batch} images: at least 1")
        if not len(part):
            raise DataError("no image is left to make batches of: take more images, or another share to hold out")
        self.device = torch.device(device)
        self.seed, self.augmentation = seed, augmentation.to(self.device)
        self.count = -(-len(part) // batch)
        self.labels = part.y.to(self.device)
        if self.device.type != "cuda" or part.x.nbytes < _RESIDENT * torch.cuda.mem_get_info(self.device)[0]:
            self.images = part.x.to(self.device)
        else:
            self.images = part.x.pin_memory()

    def __len__(self) -> int:
        return self.count

    def epoch(self, number: int) -> Iterator[tuple[Float[Tensor, "B C H W"], Int64[Tensor, "B"]]]:
        """All images once, in an order of their own for every number, with their classes."""
        seeds = np.random.SeedSequence((self.seed, number)).generate_state(2, np.uint64) >> np.uint64(1)
        order = torch.randperm(len(self.labels), generator=torch.Generator().manual_seed(int(seeds[0])))
        generator = torch.Generator(self.device).manual_seed(int(seeds[1]))
        for rows in order.to(self.images.device).tensor_split(self.count):
            x = self.images[rows].to(self.device, non_blocking=True)
            yield self.augmentation(x, generator), self.labels[rows.to(self.device, non_blocking=True)]


def _moments(x: UInt8[Tensor, "N C H W"]) -> tuple[Float[Tensor, "C"], Float[Tensor, "C"]]:
    """Mean and standard deviation of each channel from counts of the 256 values: exact, and no copy as floats."""
    counts = torch.stack(
        [torch.bincount(x[:, channel].flatten().int(), minlength=256) for channel in range(x.shape[1])]
    )
    share = counts.double() / counts.sum(dim=1, keepdim=True)
    value = torch.arange(256, dtype=torch.float64) / 255
    mean = share @ value
    variance = (share * (value - mean[:, None]).square()).sum(dim=1)
    std = torch.where(variance > 0, variance, 1.0).sqrt()  # a channel without contrast stays as it is
    return mean.float(), std.float()
