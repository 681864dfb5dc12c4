"""What is done to training images, a batch at a time on its device: shift, mirror image, cutout [DeVries2017]_.

A shifted image is a random crop of the image in a black frame, the usual "pad by four and crop". Each pixel of the
result is read from the bytes directly, so shift and mirror image are one gather; nothing waits for the device.
Cutout blanks a square around a random pixel, cut off at the border, to the channel's mean.

.. [DeVries2017] T. DeVries, G. W. Taylor. Improved Regularization of Convolutional Neural Networks with Cutout.
   arXiv:1708.04552.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """From bytes to normalised images; without shift, mirror images and cutout nothing is random.

    Attributes:
        mean: of each channel, in units of full intensity.
        std: standard deviation likewise.
        shift: pixels by which an image moves at most, in each direction.
        mirrored: whether every other image is mirrored, at random.
        cutout: side of the blanked square in pixels; 0 for none.
    """

    mean: Float[Tensor, "C"]
    std: Float[Tensor, "C"]
    shift: int = 0
    mirrored: bool = False
    cutout: int = 0

    def to(self, device: torch.device) -> Augmentation:
        """The same for batches on a device."""
        return replace(self, mean=self.mean.to(device), std=self.std.to(device))

    def __call__(self, x: UInt8[Tensor, "B C H W"], generator: torch.Generator) -> Float[Tensor, "B C H W"]:
        """Augment a batch; the generator lives on its device."""
        if self.shift or self.mirrored:
            x = self._move(x, generator)
        images = (x / 255 - self.mean[:, None, None]) / self.std[:, None, None]
        if self.cutout:
            images = images.masked_fill(self._square(x, generator), 0.0)
        return images

    def _move(self, x: UInt8[Tensor, "B C H W"], generator: torch.Generator) -> UInt8[Tensor, "B C H W"]:
        b, _, height, width = x.shape
        offsets = _integers(2 * self.shift + 1, (2, b, 1), generator)
        rows = offsets[0] + torch.arange(height, device=x.device)
        columns = offsets[1] + torch.arange(width, device=x.device)
        if self.mirrored:
            flipped = _integers(2, (b, 1), generator).bool()
            columns = torch.where(flipped, columns.flip(1), columns)
        framed = torch.nn.functional.pad(x, [self.shift] * 4)
        images = torch.arange(b, device=x.device)[:, None, None]
        moved: Tensor = framed[images, :, rows[:, :, None], columns[:, None, :]]  # [B, H, W, C]
        return moved.permute(0, 3, 1, 2)

    def _square(self, x: UInt8[Tensor, "B C H W"], generator: torch.Generator) -> Bool[Tensor, "B 1 H W"]:
        inside = []
        for pixels in x.shape[2:]:
            start = _integers(pixels, (len(x), 1), generator) - self.cutout // 2
            place = torch.arange(pixels, device=x.device)
            inside.append((place >= start) & (place < start + self.cutout))
        return (inside[0][:, :, None] & inside[1][:, None, :])[:, None]


def _integers(end: int, shape: tuple[int, ...], generator: torch.Generator) -> Int64[Tensor, "..."]:
    return torch.randint(end, shape, generator=generator, device=generator.device)
