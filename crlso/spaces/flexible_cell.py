"""What a flexible cell computes, and the lightest of the cells that compute the same.

A cell has two inputs, nodes 0 and 1, and four nodes, each a sum of operations on earlier ones; several operations may
read one node. `Sets` says which: for every place, a node and one that it may read, a bit for each operation. With
n_v the value of node v, an expression in the inputs a and b,

    n_v = Σ_{(o, u) in v} o(n_u),    skip(n) = n, unless it reads an input of a reduction cell.                      (1)

Sums of sums are flattened, as in `crlso.graphs`. The cell's output concatenates the nodes, whatever their order, so
two cells compute the same when their values agree as a multiset. Expressions do not say which operations share their
weights: a node that repeats another's operations has the value of one that skips from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import combinations
from typing import NamedTuple

from crlso.spaces.darts import NODES
from crlso.spaces.expressions import shortened

Sets = tuple[int, ...]
"""The operations that join the nodes of each place, as bits; 0 where there is none."""

PLACES = tuple((source, target) for target in range(2, 2 + NODES) for source in range(target))
"""(node read, node that reads), in the order of `Sets`."""

INTO = tuple(slice(sum(range(2, node)), sum(range(2, node + 1))) for node in range(2, 2 + NODES))
"""The places of each of the four nodes."""

_NUMBER = {place: number for number, place in enumerate(PLACES)}


class Value(NamedTuple):
    """A sum: how often inputs and operations occur in it, which grows with every operation, and its terms, sorted."""

    size: int
    terms: tuple[str, ...]


_INPUTS = (Value(1, ("a",)), Value(1, ("b",)))


@cache  # 127 sets at most, looked at all the time
def operations_in(code: int) -> tuple[int, ...]:
    """The operations of one place."""
    return tuple(number for number in range(code.bit_length()) if code >> number & 1)


def reads(sets: Sets, source: int) -> bool:
    """Whether some node reads that input, 0 or 1."""
    return any(sets[number] for (read, _), number in _NUMBER.items() if read == source)


def exchanged(sets: Sets) -> Sets:
    """The cell whose nodes read input 0 instead of 1, and the other way round."""
    return tuple(sets[_NUMBER[1 - source if source < 2 else source, target]] for source, target in PLACES)


def unused(skip: int) -> Sets:
    """The lightest cell there is: one operation on input 0 and three skips from it.

    Args:
        skip: the number of `skip_connect`.
    """
    kept = {(0, 2), (2, 3), (2, 4), (2, 5)}
    return tuple((place in kept) << skip for place in PLACES)


def alive(cells: Sequence[Sets]) -> list[bool]:
    """From which cells something reaches the result: the last one, and those that a living one reads."""
    used = [False] * len(cells)
    used[-1] = True
    for index in reversed(range(1, len(cells))):
        used[index - 1] |= used[index] and reads(cells[index], 1)
        used[max(index - 2, 0)] |= index > 1 and used[index] and reads(cells[index], 0)
    return used


@lru_cache(maxsize=2**13)  # neighbours share all cells but one
def values(sets: Sets, skip: int, reduces: bool) -> tuple[Value, ...]:
    """The four nodes' values (1).

    Args:
        sets: of a cell none of whose nodes is empty.
        skip: the number of `skip_connect`.
        reduces: whether operations on the inputs have stride 2.
    """
    found = list(_INPUTS)
    for places in INTO:
        size, terms = 0, list[str]()
        for source, code in enumerate(sets[places]):
            inner = found[source]
            argument = _argument(inner)
            for operation in operations_in(code):
                if operation == skip and not (reduces and source < 2):
                    size += inner.size
                    terms += inner.terms
                else:
                    size += 1 + inner.size
                    terms.append(f"{operation}{argument}")
        found.append(Value(size, tuple(sorted(terms))))
    return tuple(found[2:])


@lru_cache(maxsize=2**13)
def key(sets: Sets, skip: int, reduces: bool, *, first: bool) -> str:
    """The same exactly for cells that compute the same.

    Args:
        sets: as for `values`.
        skip: likewise.
        reduces: likewise.
        first: whether both inputs are the same, so that they may be exchanged.
    """
    found = shortened(";".join(sorted("+".join(value.terms) for value in values(sets, skip, reduces))))
    return min(found, key(exchanged(sets), skip, reduces, first=False)) if first else found


@lru_cache(maxsize=2**13)
def lightest(sets: Sets, skip: int, reduces: bool, *, first: bool) -> Sets:
    """The twin with the fewest operations that compute, its nodes in the order of their values.

    What a value is made of is smaller than itself or, passed on by a skip, equal: that order is topological. Arguments
    are those of `key`.
    """
    if first:
        sets = min(sets, exchanged(sets), key=lambda twin: key(twin, skip, reduces, first=False))
    sources, found = list(_INPUTS), list[int]()
    for value in sorted(values(sets, skip, reduces)):
        codes = [0] * len(sources)
        for source, operation in _made(value, sources, skip, reduces):
            codes[source] |= 1 << operation
        found += codes
        sources.append(value)
    return tuple(found)


@lru_cache(maxsize=2**13)
def printed(sets: Sets, operations: tuple[str, ...]) -> str:
    """The nodes as JSON: lists of pairs of an operation's name and an input."""
    nodes = []
    for into in INTO:
        pairs = [
            f'["{operations[number]}",{source}]'
            for source, code in enumerate(sets[into])
            for number in operations_in(code)
        ]
        nodes.append(f"[{','.join(pairs)}]")
    return f"[{','.join(nodes)}]"


def changes(sets: Sets, count: int) -> Iterator[Sets]:
    """Every cell with one pair more, less, or moved to another operation or to another input."""
    for into in INTO:
        pairs = [(place, number) for place in range(into.start, into.stop) for number in range(count)]
        there = [pair for pair in pairs if sets[pair[0]] >> pair[1] & 1]
        open_ = [pair for pair in pairs if not sets[pair[0]] >> pair[1] & 1]
        yield from (_flipped(sets, new) for new in open_)
        if len(there) > 1:
            yield from (_flipped(sets, old) for old in there)
        yield from (
            _flipped(sets, old, new) for old in there for new in open_ if (old[0] == new[0]) != (old[1] == new[1])
        )


def _flipped(sets: Sets, *pairs: tuple[int, int]) -> Sets:
    changed = list(sets)
    for place, number in pairs:
        changed[place] ^= 1 << number
    return tuple(changed)


_Made = list[tuple[int, int]]
"""(node read, operation) of one node."""


def _made(value: Value, sources: Sequence[Value], skip: int, reduces: bool) -> _Made:
    """The operations of least burden that add up to a value: every choice of skips, the rest term by term."""
    wanted = Counter(value.terms)
    first = 2 if reduces else 0
    passed = [s for s in range(first, len(sources)) if Counter(sources[s].terms) <= wanted]
    readers: dict[str, list[int]] = {}
    for source, inner in enumerate(sources):
        readers.setdefault(_argument(inner), []).append(source)
    ways = (
        way
        for count in range(len(passed) + 1)
        for chosen in combinations(passed, count)
        if (way := _completed(wanted, [(s, sources[s]) for s in chosen], readers, skip)) is not None
    )
    return min(ways)[-1]


def _completed(
    wanted: Counter[str], skipped: Sequence[tuple[int, Value]], readers: dict[str, list[int]], skip: int
) -> tuple[int, int, _Made] | None:
    """Operations that compute, operations at all, and these, once some nodes are passed on; None if it cannot be."""
    # only skips bring an input as it is; looked at first because it rules out most choices
    if any(sum(inner.terms.count(name) for _, inner in skipped) != wanted[name] for name in ("a", "b")):
        return None
    rest = wanted.copy()
    for _, inner in skipped:
        rest.subtract(inner.terms)
    made = [(source, skip) for source, _ in skipped]
    for term, count in rest.items():
        operation, bracket, argument = term.partition("(")
        offers = readers.get(bracket + argument, []) if bracket else []
        if not 0 <= count <= len(offers):
            return None
        made += [(source, int(operation)) for source in offers[:count]]
    return len(made) - len(skipped), len(made), sorted(made)


def _argument(value: Value) -> str:
    return f"({shortened('+'.join(value.terms))})"
