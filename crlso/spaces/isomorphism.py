"""Small labelled DAGs up to isomorphism: an order of the vertices that is the same for all isomorphic DAGs.

Vertices are coloured by depth, the longest path that leads to them, and by label; colours are then refined by those of
predecessors and successors until nothing changes [Weisfeiler1968]_. What remains equal is told apart by trying all
orders within a colour, so the result is exact; of some seven vertices, few ever remain.

.. [Weisfeiler1968] B. Weisfeiler, A. Leman. The Reduction of a Graph to Canonical Form. NTI Series 2, 1968.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain, permutations, product
from typing import TypeAlias

Matrix: TypeAlias = tuple[tuple[int, ...], ...]
"""Rows of a strictly upper triangular adjacency matrix of zeros and ones."""


def canonical_order(matrix: Matrix, labels: Sequence[str]) -> tuple[int, ...]:
    """A topological order of the vertices; in it, matrices and labels of isomorphic DAGs are equal.

    Args:
        matrix: vertices in any topological order.
        labels: of the vertices.
    """
    groups: dict[int, list[int]] = {}
    for vertex, colour in enumerate(_colours(matrix, labels)):
        groups.setdefault(colour, []).append(vertex)
    orders = product(*(permutations(groups[colour]) for colour in sorted(groups)))
    return max((tuple(chain(*order)) for order in orders), key=lambda order: rearranged(matrix, order))


def rearranged(matrix: Sequence[Sequence[int]], order: Sequence[int]) -> Matrix:
    """The matrix of some of the vertices, in the order given."""
    return tuple(tuple(matrix[i][j] for j in order) for i in order)


def twin_ranks(matrix: Matrix, labels: Sequence[str]) -> list[int]:
    """How many earlier vertices have the same expression: the label, applied to the predecessors' expressions.

    Expressions name predecessors by their own rank, so that an expression and a rank are one vertex.
    """
    ranks: list[int] = []
    names: list[str] = []
    seen: Counter[str] = Counter()
    for vertex, label in enumerate(labels):
        expression = f"{label}({'+'.join(sorted(names[i] for i in range(vertex) if matrix[i][vertex]))})"
        ranks.append(seen[expression])
        names.append(f"{expression}#{seen[expression]}")
        seen[expression] += 1
    return ranks


def _colours(matrix: Matrix, labels: Sequence[str]) -> list[int]:
    """Colours that isomorphic vertices share, as the ranks of what they stand for."""
    vertices = range(len(matrix))
    before = [[i for i in vertices if matrix[i][j]] for j in vertices]
    after = [[j for j in vertices if matrix[i][j]] for i in vertices]
    depths: list[int] = []
    for sources in before:
        depths.append(1 + max((depths[i] for i in sources), default=-1))
    colours = _ranks(list(zip(depths, labels, strict=True)))
    while True:
        around = [(sorted(colours[u] for u in before[v]), sorted(colours[u] for u in after[v])) for v in vertices]
        finer = _ranks([(colours[v], *map(tuple, around[v])) for v in vertices])
        if finer == colours:
            return colours
        colours = finer


def _ranks(values: Sequence[tuple[object, ...]]) -> list[int]:
    numbers = {value: rank for rank, value in enumerate(sorted(set(values)))}
    return [numbers[value] for value in values]
