"""What a network costs: exact counts that need no tensor, and add up layer by layer.

`params` counts every trainable number: weights, biases, and the scale and shift of batch normalisation, but not
its running statistics. `flops` counts the multiply-adds of convolutions and linear layers in one forward pass of
one image, padding included as any framework executes it; biases, normalisation, activations, pooling and sums
are left out, as `torch.utils.flop_counter` leaves them out (which counts two for every multiply-add).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Costs:
    """Costs of a network or a part of one; parts add up.

    Attributes:
        params: trainable numbers.
        flops: multiply-adds of one forward pass of one image.
    """

    params: int
    flops: int

    def __add__(self, other: Costs) -> Costs:
        """Both parts."""
        return Costs(self.params + other.params, self.flops + other.flops)

    def __mul__(self, times: int) -> Costs:
        """The part, repeated."""
        return Costs(self.params * times, self.flops * times)


def convolution(c_in: int, c_out: int, kernel_size: int, height: int, width: int) -> Costs:
    """A square convolution without bias whose *output* has that height and width in pixels."""
    weights = c_in * c_out * kernel_size**2
    return Costs(weights, weights * height * width)


def batch_norm(channels: int) -> Costs:
    """Scale and shift of every channel."""
    return Costs(2 * channels, 0)


def linear(c_in: int, c_out: int) -> Costs:
    """A linear layer with bias."""
    return Costs((c_in + 1) * c_out, c_in * c_out)
