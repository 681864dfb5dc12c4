"""Graphs as stand-alone SVG documents, drawn by hand so that a space needs no plotting library.

Nodes stand in a row in topological order. Edges between neighbours run straight, longer ones as arcs above or
below, whichever side they cross fewer others on; that place depends on the pair of nodes alone, so that drawings
of one space can be compared at a glance. Edges that lie on no path from a source to a sink are faint.
Nodes are numbered as the notations number them, or named where they have an operation; then edges that change nothing
have no name. Names in full show on hovering.

Colours are those of [Okabe2008]_ that keep a contrast of 3:1 on white as well as on a nearly black page; the
document sets no background, uses no style sheet and no ids, so that many can stand in one HTML page.

.. [Okabe2008] M. Okabe, K. Ito. Color Universal Design. 2008. https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from math import ceil, cos, radians, sin
from xml.sax.saxutils import escape

import numpy as np

from crlso.architecture import Graph, Schema

PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#a67c00", "#8a6fd1")
"""Colours of operations in the order of the schema's edge types, the last two of our own."""

NEUTRAL = "#6b7280"
"""Colour of nodes and of edges that change nothing."""

_STEP, _RISE = 160, 62  # pixels between nodes, and between the heights of arcs whose spans differ by one
_RADIUS, _GAP, _HEAD = 17, 5, 9  # pixels: a node's radius, the air around it, the length of an arrow head
_LINE, _AIR, _A_ROW = 30, 32, 8  # pixels of a line in a block and between blocks; blocks a row
_MARK, _MARKS_A_ROW = 12, 4  # pixels of the mark of an operation in a set, and marks a row
_CELLS_A_ROW = 4  # matrices of sets
_CAPTION = 24  # pixels above a graph that is one of several
_FAINT = 0.4
"""Opacity of what cannot reach the result."""


def draw_graph(graph: Graph, schema: Schema, *, title: str) -> str:
    """A graph as an SVG document.

    Args:
        graph: of at most some eight nodes, or the arcs get crowded.
        schema: its vocabulary.
        title: what the document says of itself to those who hover or cannot see.
    """
    sides = _sides(graph.num_nodes)
    top, bottom = (
        _RADIUS + _GAP + _RISE * max((j - i - 1 for (i, j), s in sides.items() if s == side), default=0)
        for side in (1, -1)
    )
    left, width, height = -_RADIUS - _GAP, _STEP * (graph.num_nodes - 1) + 2 * (_RADIUS + _GAP), top + bottom
    parts = sorted(_parts(graph, schema, sides))
    layers = [
        # one opacity for all that is faint together, so that its lines do not shine through its labels
        f'<g opacity="{opacity}">\n{"".join(shape for state, _, shape in parts if state == alive)}</g>'
        for alive, opacity in ((False, _FAINT), (True, 1))
    ]
    return _document(title, (left, -top, width, height), layers)


def draw_cells(cells: Mapping[str, Graph], schema: Schema, *, title: str) -> str:
    """Several graphs below one another in one SVG document, each under its name."""
    pictures = [(draw_graph(graph, schema, title=name), name) for name, graph in cells.items()]
    width, y, parts = 0, 0, []
    for picture, name in pictures:
        right, height = (int(n) for n in re.findall(r'viewBox="\S+ \S+ (\d+) (\d+)"', picture)[0])
        caption = f'<text x="{_GAP}" y="{y + _CAPTION / 2:g}" dy="0.35em" text-anchor="start" fill="{NEUTRAL}">'
        parts += [f"{caption}{escape(name)}</text>", picture.replace("<svg ", f'<svg y="{y + _CAPTION}" ', 1)]
        width, y = max(width, right), y + _CAPTION + height
    return _document(title, (0, 0, width, y), parts)


def draw_blocks(blocks: Sequence[Sequence[str]], *, title: str) -> str:
    """A chain of blocks as an SVG document: rows of boxes with the options chosen in each block."""
    width = max(_chip_width(label(name)) for names in blocks for name in names) + 4 * _GAP
    height, head = _LINE * max(map(len, blocks)) + _GAP, f"l{-_HEAD} {-_HEAD / 2}v{_HEAD}Z"
    parts = []
    for number, names in enumerate(blocks):
        x, y = number % _A_ROW * (width + _AIR), number // _A_ROW * (height + _AIR)
        shapes = (
            f'<rect x="{x:g}" y="{y}" width="{width:g}" height="{height}" rx="9" fill="none" stroke="{NEUTRAL}"/>'
            f'<path d="M{x - _AIR:g} {y + height / 2:g}H{x:g}m0 0{head}" fill="{NEUTRAL}" stroke="{NEUTRAL}"/>'
        )
        for line, name in enumerate(names):
            place = x + width / 2, y + _LINE * line + (_LINE + _GAP) // 2
            shapes += _chip(*place, label(name), PALETTE[line % len(PALETTE)])
        parts.append(_group(f"block {number + 1}: {', '.join(names)}", shapes))
    columns, rows = min(len(blocks), _A_ROW), -(-len(blocks) // _A_ROW)
    return _document(title, (-_AIR, -_GAP, ceil(columns * (width + _AIR)) + _GAP, rows * (height + _AIR)), parts)


def draw_sets(
    cells: Mapping[str, tuple[Mapping[tuple[int, int], Sequence[int]], bool]], names: Sequence[str], *, title: str
) -> str:
    """Matrices of sets in a grid, under their names, and below them which mark is which operation.

    Args:
        cells: for each, the operations by (column, row), and whether it matters: else it is faint.
        names: of the operations, by number.
        title: of the document.
    """
    columns, rows = ([place[axis] for sets, _ in cells.values() for place in sets] for axis in (0, 1))
    field = _marks_size(len(names))
    width, height = (1 + max(columns)) * field[0] + 3 * _AIR / 2, (1 + max(rows) - min(rows)) * field[1] + 2 * _CAPTION
    parts = []
    for number, (name, (sets, alive)) in enumerate(cells.items()):
        x, y = number % _CELLS_A_ROW * width, number // _CELLS_A_ROW * (height + _AIR)
        shapes = _matrix(name, sets, names, field, min(rows))
        parts.append(f'<g transform="translate({x:g} {y:g})" opacity="{1 if alive else _FAINT}">\n{shapes}</g>')
    across = min(len(cells), _CELLS_A_ROW) * width
    y = -(-len(cells) // _CELLS_A_ROW) * (height + _AIR)
    widths = [_chip_width(label(name)) + _AIR for name in names]
    for number, name in enumerate(names):
        x = sum(widths[:number], float(_GAP))
        text = f'<text x="{x + 2 * _MARK:g}" y="{y}" dy="0.35em" text-anchor="start" fill="{NEUTRAL}">'
        parts.append(_mark(x, y - _MARK / 2, number, names) + f"{text}{escape(label(name))}</text>")
    return _document(title, (0, 0, ceil(max(across, sum(widths))), ceil(y + _CAPTION)), parts)


def _marks_size(count: int) -> tuple[int, int]:
    """Width and height of a field with room for the marks of so many operations."""
    step = _MARK + _GAP
    return min(count, _MARKS_A_ROW) * step + 2 * _GAP, -(-count // _MARKS_A_ROW) * step + 2 * _GAP


def _matrix(
    caption: str,
    sets: Mapping[tuple[int, int], Sequence[int]],
    names: Sequence[str],
    field: tuple[int, int],
    first: int,
) -> str:
    """A field for each place: every operation has its own spot, empty where it is absent."""
    text = f'<text dy="0.35em" fill="{NEUTRAL}"'
    parts = [f'{text} x="{_GAP}" y="{_CAPTION / 2:g}" text-anchor="start">{escape(caption)}</text>\n']
    left, top = float(_AIR), 2.0 * _CAPTION
    for column in sorted({column for column, _ in sets}):
        parts.append(f'{text} x="{left + (column + 0.5) * field[0]:g}" y="{top - _CAPTION / 2:g}">{column}</text>\n')
    for row in sorted({row for _, row in sets}):
        parts.append(f'{text} x="{left / 2:g}" y="{top + (row - first + 0.5) * field[1]:g}">{row}</text>\n')
    for (column, row), present in sets.items():
        x, y = left + column * field[0], top + (row - first) * field[1]
        frame = (
            f'<rect x="{x:g}" y="{y:g}" width="{field[0] - 2}" height="{field[1] - 2}" rx="3" fill="none" '
            f'stroke="{NEUTRAL}" stroke-opacity="{_FAINT}"/>'
        )
        marks = "".join(
            _mark(
                x + _GAP + number % _MARKS_A_ROW * (_MARK + _GAP),
                y + _GAP + number // _MARKS_A_ROW * (_MARK + _GAP),
                number,
                names,
            )
            for number in present
        )
        meaning = f"{column} → {row}: {', '.join(names[number] for number in present) or 'absent'}"
        parts.append(_group(meaning, frame + marks))
    return "".join(parts)


def _mark(x: float, y: float, number: int, names: Sequence[str]) -> str:
    """The square of an operation: grey for a skip, the palette in order for the others."""
    others = [name for name in names if name != "skip_connect"]
    paint = dict(zip(others, PALETTE, strict=False)).get(names[number], NEUTRAL)
    return f'<rect x="{x:g}" y="{y:g}" width="{_MARK}" height="{_MARK}" rx="2" fill="{paint}"/>'


def _document(title: str, box: tuple[int, int, int, int], parts: Iterable[str]) -> str:
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box[0]} {box[1]} {box[2]} {box[3]}" width="{box[2]}" '
        f'height="{box[3]}" role="img" font-family="system-ui, sans-serif" font-size="12" text-anchor="middle">'
    )
    return "\n".join([opening, f"<title>{escape(title)}</title>", *parts, "</svg>"])


def label(name: str) -> str:
    """A type's name in short: `nor_conv_3x3` is "conv 3×3", `skip_connect` "skip"."""
    words = [word for word in re.split("[_-]", name) if word not in ("nor", "connect", "pool", "bn", "relu")] or [name]
    return re.sub(r"(?<=[a-z])(?=\d×)", " ", re.sub(r"(?<=\d)x(?=\d)", "×", " ".join(words)))


def color(name: str, schema: Schema) -> str:
    """The colour of an operation, the same in all drawings of a space; grey once the palette is used up."""
    on_edges = [n for n in schema.edge_types[1:] if n not in schema.identity_edges | schema.zero_edges]
    operations = [n for n in schema.node_types if _operates(n, schema)] + on_edges
    return dict(zip(operations, PALETTE, strict=False)).get(name, NEUTRAL)


def _operates(node_type: str, schema: Schema) -> bool:
    """Whether a node of the type has an operation of its own."""
    return node_type not in schema.identity_nodes | schema.sources | schema.sinks


def _sides(num_nodes: int) -> dict[tuple[int, int], int]:
    """Where each edge runs: 0 straight, 1 above, -1 below the row."""
    sides: dict[tuple[int, int], int] = {}
    for i, j in sorted(combinations(range(num_nodes), 2), key=lambda edge: (edge[1] - edge[0], edge)):
        crossed = [side for (a, b), side in sides.items() if a < i < b < j or i < a < j < b]
        sides[i, j] = 0 if j == i + 1 else 1 if crossed.count(1) <= crossed.count(-1) else -1
    return sides


def _parts(graph: Graph, schema: Schema, sides: dict[tuple[int, int], int]) -> Iterator[tuple[bool, int, str]]:
    """Whether a part matters to the result, how high it lies in the pile, and its shapes."""
    from_source, to_sink = reach(graph, schema)
    nodes = [schema.node_types[code] for code in graph.node_types]
    for (i, j), side in sides.items():
        if graph.edge_types[i, j]:
            name = schema.edge_types[graph.edge_types[i, j]]
            alive = from_source[i] and to_sink[j] and name not in schema.zero_edges
            paint, meaning = color(name, schema), f"{i} → {j}: {name}"
            ends = [float(_RADIUS) if side else _half_width(nodes[end], schema) for end in (i, j)]
            yield alive, 0, _group(meaning, _arrow(i, j, side, paint, ends))
            if name not in schema.identity_edges or not any(_operates(n, schema) for n in schema.node_types):
                place = (i + j) / 2 * _STEP, -side * _RISE * (j - i - 1)
                yield alive, 2, _group(meaning, _chip(*place, label(name), paint))
    for i, name in enumerate(nodes):
        yield from_source[i] and to_sink[i], 1, _group(f"{i}: {name}", _node(i, name, schema))


def reach(graph: Graph, schema: Schema) -> tuple[list[bool], list[bool]]:
    """Which nodes data can reach, and from which nodes the result can be reached."""
    names = [schema.node_types[code] for code in graph.node_types]
    from_source, to_sink = [name in schema.sources for name in names], [name in schema.sinks for name in names]
    silent = [0, *(schema.edge_types.index(name) for name in schema.zero_edges)]
    edges = [(int(i), int(j)) for i, j in np.argwhere(~np.isin(graph.edge_types, silent))]
    for i, j in edges:  # in topological order of the sources, so one pass each way is enough
        from_source[j] |= from_source[i]
    for i, j in reversed(edges):
        to_sink[i] |= to_sink[j]
    return from_source, to_sink


def _group(meaning: str, shapes: str) -> str:
    return f"<g><title>{escape(meaning)}</title>{shapes}</g>\n"


def _arrow(i: int, j: int, side: int, paint: str, ends: Sequence[float]) -> str:
    """A line, straight or a Bézier curve that starts and ends on rays through its nodes, and its head.

    `ends` says how far from its centre each node reaches.
    """
    span = j - i
    slope = -side * radians(90 - 80 / span) if side else 0.0  # long arcs leave their node more steeply than short ones
    ux, uy = cos(slope), sin(slope)
    start, tip = _STEP * i + (ends[0] + _GAP) * ux, _STEP * j - (ends[1] + _GAP) * ux
    y = (_RADIUS + _GAP) * uy
    base_x, base_y = tip - _HEAD * ux, y + _HEAD * uy
    end_x, end_y = tip - _HEAD / 3 * ux, y + _HEAD / 3 * uy  # the line's round end hides in the head
    pull = (_RISE * (span - 1) - abs(y)) / (0.75 * abs(uy)) if side else 0.0  # puts the curve's middle at its height
    wing = 0.55 * _HEAD
    return (
        f'<path d="M{start:.1f} {y:.1f}C{start + pull * ux:.1f} {y + pull * uy:.1f} '
        f'{end_x - pull * ux:.1f} {end_y + pull * uy:.1f} {end_x:.1f} {end_y:.1f}" '
        f'fill="none" stroke="{paint}" stroke-width="2.5" stroke-linecap="round"/>'
        f'<path d="M{tip:.1f} {y:.1f}L{base_x - wing * uy:.1f} {base_y - wing * ux:.1f}'
        f'L{base_x + wing * uy:.1f} {base_y + wing * ux:.1f}Z" '
        f'fill="{paint}" stroke="{paint}" stroke-width="2" stroke-linejoin="round"/>'
    )


def _chip(x: float, y: int, text: str, paint: str) -> str:
    """A label in a pill that brings its own ground and so is legible on any page."""
    width = _chip_width(text)
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - 11}" width="{width:.1f}" height="22" rx="11" fill="#ffffff" '
        f'stroke="{paint}" stroke-width="1.5"/>'
        f'<text x="{x:g}" y="{y}" dy="0.35em" fill="#1f2430">{escape(text)}</text>'
    )


def _chip_width(text: str) -> float:
    return 6.4 * len(text) + 18


def _half_width(name: str, schema: Schema) -> float:
    """How far a node of the type reaches from its centre."""
    return _chip_width(label(name)) / 2 if _operates(name, schema) else float(_RADIUS)


def _node(i: int, name: str, schema: Schema) -> str:
    if _operates(name, schema):
        return _chip(float(i * _STEP), 0, label(name), color(name, schema))
    text = "in" if name in schema.sources else "out" if name in schema.sinks else str(i)
    return (
        f'<circle cx="{i * _STEP}" cy="0" r="{_RADIUS}" fill="{NEUTRAL}"/>'
        f'<text x="{i * _STEP}" y="0" dy="0.35em" font-weight="600" fill="#ffffff">{text}</text>'
    )
