"""Accuracy against params and against FLOPs as a stand-alone SVG: what a search recorded, and its front.

Points of the front are joined from left to right, and numbered by rising params as everything that is made of them is.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from crlso.spaces.drawing import NEUTRAL, PALETTE
from crlso.supernet.runs import Row

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP, _GAP = 320, 220, 56, 44, 28, 36  # pixels of a panel and around it
_TICKS = 4
_AXES = (("params", "params"), ("flops", "multiply-adds"))


def draw_front(records: Sequence[Row], front: Sequence[Row], *, title: str) -> str:
    """Two panels side by side.

    Args:
        records: with accuracy (percent), params and flops.
        front: those of them that no other beats, by rising params.
        title: what the document says of itself.
    """
    panels = "".join(_panel(records, front, *axis, place) for place, axis in enumerate(_AXES))
    width, height = len(_AXES) * (_WIDTH + _LEFT + _GAP), _HEIGHT + _BOTTOM + _TOP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="11" fill="{NEUTRAL}" role="img">\n'
        f"<title>{escape(title)}</title>\n"
        f'<text x="{_LEFT}" y="16" font-size="13">{escape(title)}</text>\n{panels}</svg>\n'
    )


def _panel(records: Sequence[Row], front: Sequence[Row], key: str, label: str, place: int) -> str:
    x_range, y_range = (_range([float(record[name]) for record in records]) for name in (key, "accuracy"))
    left = _LEFT + place * (_WIDTH + _LEFT + _GAP)

    def at(record: Row) -> tuple[float, float]:
        x, y = (_share(float(record[name]), ends) for name, ends in ((key, x_range), ("accuracy", y_range)))
        return left + _WIDTH * x, _TOP + _HEIGHT * (1 - y)

    shapes = [f'<path d="M{left},{_TOP}v{_HEIGHT}h{_WIDTH}" fill="none" stroke="{NEUTRAL}"/>']
    for tick in range(_TICKS + 1):
        share = tick / _TICKS
        x, y = left + _WIDTH * share, _TOP + _HEIGHT * (1 - share)
        value, accuracy = (low + share * (high - low) for low, high in (x_range, y_range))
        shapes.append(f'<text x="{x:.1f}" y="{_TOP + _HEIGHT + 16}" text-anchor="middle">{_short(value)}</text>')
        shapes.append(f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{accuracy:.1f}</text>')
    middle = left + _WIDTH / 2
    shapes.append(f'<text x="{middle}" y="{_TOP + _HEIGHT + 34}" text-anchor="middle">{label}; accuracy in %</text>')
    for record in records:
        x, y = at(record)
        shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" opacity="0.5"/>')
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in sorted(map(at, front)))
    shapes.append(f'<polyline points="{joined}" fill="none" stroke="{PALETTE[0]}" stroke-width="1.5"/>')
    for number, record in enumerate(front, start=1):
        x, y = at(record)
        shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{PALETTE[0]}"/>')
        shapes.append(f'<text x="{x:.1f}" y="{y - 8:.1f}" text-anchor="middle" fill="{PALETTE[0]}">{number}</text>')
    return "\n".join(shapes) + "\n"


def _range(values: Sequence[float]) -> tuple[float, float]:
    """From the least to the largest, with air around."""
    low, high = min(values), max(values)
    air = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - air, high + air


def _share(value: float, ends: tuple[float, float]) -> float:
    return (value - ends[0]) / (ends[1] - ends[0])


def _short(value: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= 0.9995 * size:  # what rounds to it in three digits
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"
