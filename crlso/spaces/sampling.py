"""Distinct architectures at random, by drawing again what was drawn before."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int

Choices = tuple[int, ...]
"""What was chosen in each decision of a space, as an index into its options."""

LISTABLE = 20_000
"""A space described by choices is walked through up to this size: its latent space then takes a minute or two."""

_SPARE = 16  # rows drawn beyond what is missing, so that the last few are not drawn one by one


def distinct_rows(n: int, draw: Callable[[int], Int[np.ndarray, "rows D"]]) -> list[Choices]:
    """The first n distinct rows of a sequence of independent draws: a uniform sample without replacement.

    Args:
        n: at most as many as `draw` can give; the closer to that, the longer it takes (n log n at the limit).
        draw: so many uniform rows at a time.
    """
    found: dict[Choices, None] = {}
    while len(found) < n:
        rows = draw(2 * (n - len(found)) + _SPARE)
        found.update(dict.fromkeys(map(tuple, rows.tolist())))
    return list(found)[:n]


def check_choices(choices: Sequence[int], options: Sequence[Sequence[str]]) -> str | None:
    """What is wrong with the decisions, None if nothing is."""
    if len(choices) != len(options):
        return f"{len(choices)} choices where there are {len(options)} decisions"
    for number, (choice, names) in enumerate(zip(choices, options, strict=True)):
        if not 0 <= choice < len(names):
            return f"choice {choice} in decision {number}, which has options 0 to {len(names) - 1}"
    return None
