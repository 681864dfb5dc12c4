"""Cells of sets: keys are equal exactly where functions are, and no twin is lighter than the representative."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlso.spaces.flexible_cell import (
    INTO,
    PLACES,
    alive,
    changes,
    exchanged,
    key,
    lightest,
    operations_in,
    printed,
    reads,
    unused,
    values,
)

PRIME = 2**61 - 1
COUNT, SKIP = 3, 1  # operations, and the number of the skip
NAMES = ("a", "skip_connect", "b")


def cells(n, seed, share):
    """Random cells that keep about that share of all pairs, none of their nodes empty: the fewer, the more twins."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n):
        bits = rng.random((len(PLACES), COUNT)) < share
        for into in INTO:
            if not bits[into].any():
                bits[rng.integers(into.start, into.stop), rng.integers(COUNT)] = True
        found.append(tuple((bits @ (1 << np.arange(COUNT))).tolist()))
    return found


def pairs(sets, node):
    """(operation, input) of a node, numbered from 2."""
    return [(o, i) for i, code in enumerate(sets[INTO[node - 2]]) for o in operations_in(code)]


def relabelled(sets, rng):
    """The cell with its nodes in another random topological order."""
    placed, bits = {0: 0, 1: 1}, dict.fromkeys(PLACES, 0)
    while len(placed) < 6:
        ready = [n for n in range(2, 6) if n not in placed and all(i in placed for _, i in pairs(sets, n))]
        node = int(rng.choice(ready))
        for operation, source in pairs(sets, node):
            bits[placed[source], len(placed)] |= 1 << operation
        placed[node] = len(placed)
    return tuple(bits.values())


def evaluate(sets, reduces, inputs, cubics):
    """What the nodes compute, operations read as cubics without constant term modulo a prime; as a multiset."""
    results = list(inputs)
    for node in range(2, 6):
        total = 0
        for operation, source in pairs(sets, node):
            a, b, c = cubics[operation]
            x = results[source]
            passes = operation == SKIP and not (reduces and source < 2)
            total += x if passes else x * (a + x * (b + x * c))
        results.append(total % PRIME)
    return tuple(sorted(results[2:]))


@pytest.fixture
def polynomials():
    rng = np.random.default_rng(0)
    return rng.integers(1, PRIME, size=2).tolist(), rng.integers(1, PRIME, size=(COUNT, 3)).tolist()


@pytest.mark.parametrize("reduces", [False, True])
@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.15, 0.5])
def test_keys_are_equal_exactly_where_functions_are(reduces, first, share, polynomials):
    """Schwartz-Zippel, on draws, relabelled ones, representatives and, where inputs are the same, exchanged ones."""
    inputs, cubics = polynomials
    rng = np.random.default_rng(1)
    drawn = cells(400, 2, share)
    drawn += [relabelled(sets, rng) for sets in drawn] + [lightest(sets, SKIP, reduces, first=first) for sets in drawn]
    drawn += [exchanged(sets) for sets in drawn]
    by_key, by_value = {}, {}
    for sets in drawn:
        ways = [inputs, inputs[::-1]] if first else [inputs]
        value = frozenset(evaluate(sets, reduces, way, cubics) for way in ways)
        name = key(sets, SKIP, reduces, first=first)
        assert by_key.setdefault(name, value) == value
        assert by_value.setdefault(value, name) == name
    assert len(by_key) < len(set(drawn))


@given(seed=st.integers(0, 2**32 - 1), reduces=st.booleans(), share=st.sampled_from([0.0, 0.2, 0.5]))
def test_relabelled_nodes_and_exchanged_inputs_have_one_representative(seed, reduces, share):
    ((sets,), rng) = cells(1, seed, share), np.random.default_rng(seed)
    best = lightest(sets, SKIP, reduces, first=False)
    assert lightest(relabelled(sets, rng), SKIP, reduces, first=False) == best
    assert lightest(best, SKIP, reduces, first=False) == best
    either = lightest(sets, SKIP, reduces, first=True)
    assert lightest(exchanged(relabelled(sets, rng)), SKIP, reduces, first=True) == either


@pytest.mark.parametrize("reduces", [False, True])
def test_no_twin_is_heavier_than_what_it_stands_for(reduces):
    def weight(sets):
        """Operations that compute: all but the skips that pass their source on."""
        return sum(
            operation != SKIP or (reduces and source < 2)
            for node in range(2, 6)
            for operation, source in pairs(sets, node)
        )

    drawn = cells(500, 3, 0.0)
    lighter = [(weight(lightest(sets, SKIP, reduces, first=False)), weight(sets)) for sets in drawn]
    assert all(best <= own for best, own in lighter)
    assert any(best < own for best, own in lighter)


def test_a_sum_made_twice_is_made_once_and_skipped_to():
    bits = dict.fromkeys(PLACES, 0) | {(0, 2): 0b101, (0, 3): 0b101, (3, 4): 0b100, (2, 5): 0b100}
    best = lightest(tuple(bits.values()), SKIP, False, first=False)
    wanted = dict.fromkeys(PLACES, 0) | {(0, 2): 0b101, (2, 3): 0b010, (2, 4): 0b100, (4, 5): 0b010}
    assert best == tuple(wanted.values())


def test_sizes_order_what_values_are_made_of():
    for sets in cells(100, 4, 0.4):
        found = values(sets, SKIP, True)
        for node, value in enumerate(found, start=2):
            for operation, source in pairs(sets, node):
                if source > 1:
                    inner = found[source - 2]
                    assert inner.size < value.size or (operation == SKIP and inner == value)


def test_unused_cells_are_the_lightest():
    sets = unused(SKIP)
    assert [pairs(sets, node) for node in range(2, 6)] == [[(SKIP, 0)], *[[(SKIP, 2)]] * 3]
    assert reads(sets, 0)
    assert not reads(sets, 1)
    assert reads(exchanged(sets), 1)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(3, 9))
def test_alive_is_what_a_walk_back_from_the_result_meets(seed, n):
    stack, met, ahead = cells(n, seed, 0.0), set(), [n - 1]
    while ahead:
        index = ahead.pop()
        met.add(index)
        sources = {source for node in range(2, 6) for _, source in pairs(stack[index], node)} & {0, 1}
        ahead += [before for source in sources if (before := index - 2 + source) >= 0 and before not in met]
    assert alive(stack) == [index in met for index in range(n)]


def test_changes_are_one_pair_more_less_or_moved_along_one_axis():
    for sets in cells(20, 5, 0.4):
        found = list(changes(sets, COUNT))
        assert len(set(found)) == len(found)
        added = removed = 0
        for other in found:
            differing = [(place, a ^ b) for place, (a, b) in enumerate(zip(sets, other, strict=True)) if a != b]
            flips = [(place, operation) for place, code in differing for operation in operations_in(code)]
            grown = sum(map(int.bit_count, other)) - sum(map(int.bit_count, sets))
            added, removed = added + (grown == 1), removed + (grown == -1)
            assert len(flips) == (2 if grown == 0 else 1)
            if grown == 0:
                (place, operation), (other_place, other_operation) = flips
                assert PLACES[place][1] == PLACES[other_place][1]
                assert (place == other_place) != (operation == other_operation)
        here = sum(map(int.bit_count, sets))
        assert added == len(PLACES) * COUNT - here
        assert removed == here - sum(sum(map(int.bit_count, sets[into])) == 1 for into in INTO)


def test_places_are_those_of_a_cell():
    assert len(PLACES) == comb(6, 2) - 1
    for node, into in enumerate(INTO, start=2):
        assert PLACES[into] == tuple((source, node) for source in range(node))


def test_cells_are_printed_by_input_and_then_by_operation():
    bits = dict.fromkeys(PLACES, 0) | {(0, 2): 0b110, (1, 2): 0b001, (1, 3): 1, (2, 4): 1, (0, 5): 1}
    assert printed(tuple(bits.values()), NAMES) == (
        '[[["skip_connect",0],["b",0],["a",1]],[["a",1]],[["a",2]],[["a",0]]]'
    )
