"""Mobile networks [Ahmad2024]_: seven blocks of inverted residuals, the space of Accel-NASBench.

A block repeats MBConv [Tan2019]_ `l` times, with expansion `e`, kernel `k` and squeeze-excite or not `s`; widths and
strides are those of EfficientNet-B0 and not searched (`crlso.networks.mobile`). A block has one to three layers, the
sixth up to four, as in the benchmark's own space: 36⁶ · 48 ≈ 1.04 · 10¹¹ networks.

.. [Ahmad2024] A. Ahmad et al. Accel-NASBench: Sustainable Benchmarking for Accelerator-Aware NAS. DAC 2024.
.. [Tan2019] M. Tan et al. MnasNet: Platform-Aware Neural Architecture Search for Mobile. CVPR 2019.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from crlso.spaces.chain import Chain, Decision

BLOCKS = 7
"""Blocks of a network."""

_PARTS = 4  # decisions of a block
_DEEP = 5  # the block that may have a fourth layer


def _block(layers: int) -> tuple[Decision, ...]:
    return (
        Decision("expansion", ("e1", "e4", "e6")),
        Decision("kernel", ("k3", "k5")),
        Decision("layers", tuple(f"l{n}" for n in range(1, layers + 1))),
        Decision("squeeze", ("s0", "s1")),
    )


class Mobile(Chain):
    """The chains of seven blocks of Accel-NASBench, written `e6k3l1s0|e4k5l2s0|…`."""

    name = "mobile"

    def __init__(self) -> None:
        super().__init__(self.name, [_block(4 if block == _DEEP else 3) for block in range(BLOCKS)])

    def write(self, names: Sequence[str]) -> str:
        """Blocks joined by `|`."""
        return "|".join("".join(names[first : first + _PARTS]) for first in range(0, len(names), _PARTS))

    def read(self, text: str) -> list[str]:
        """Letters with their numbers; anything else is one name that no decision has."""
        blocks = text.split("|")
        if len(blocks) != BLOCKS or not all(re.fullmatch(r"e\dk\dl\ds\d", block, re.ASCII) for block in blocks):
            return [text]
        return [name for block in blocks for name in re.findall(r"[a-z]\d", block)]
