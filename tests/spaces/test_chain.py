"""Chains of choices: their graphs say all that they are, and no two compute the same."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlso.architecture import Graph
from crlso.exceptions import ArchitectureError, ProblemError
from crlso.graphs import Forest
from crlso.spaces.chain import LISTABLE, Chain, Decision
from crlso.testing import check_space

WIDTH, KERNEL = Decision("width", ("16", "32", "64")), Decision("kernel", ("3", "5"))
SPACE = Chain("small", [(WIDTH,), (KERNEL, WIDTH), (KERNEL,)])

decisions = st.builds(
    lambda name, n: Decision(name, tuple(f"{name}{i}" for i in range(n))), st.sampled_from("abc"), st.integers(1, 4)
)
blocks = st.lists(st.lists(decisions, min_size=1, max_size=3, unique_by=lambda d: d.name), min_size=1, max_size=4)


@settings(max_examples=25)
@given(blocks=blocks, seed=st.integers(0, 2**32 - 1))
def test_every_chain_keeps_the_laws_of_spaces(blocks, seed):
    check_space(Chain("any", blocks), np.random.default_rng(seed), n=6)


def test_all_chains_are_there_once():
    texts = [arch.text for arch in SPACE.enumerate()]
    assert len(set(texts)) == len(texts) == SPACE.size == 3 * 2 * 3 * 2
    assert texts[:2] == ["16|3|16|3", "16|3|16|5"]


def test_different_chains_are_different_expressions():
    """What the encoder sees tells all chains apart, although blocks share their types."""
    forest = Forest.of((arch.graph for arch in SPACE.enumerate()), SPACE.schema)
    assert len(set(forest.roots.tolist())) == SPACE.size


def test_the_graph_is_equation_1():
    """Every option a number, the chain is worth the product of what its blocks add to one."""
    worth = dict(zip(SPACE.schema.node_types[3:], (2, 3, 5, 7, 11), strict=True))
    for names in product(WIDTH.options, KERNEL.options, WIDTH.options, KERNEL.options):
        arch = SPACE.parse("|".join(names))
        kinds = [SPACE.schema.node_types[code] for code in arch.graph.node_types]
        values = []
        for node, kind in enumerate(kinds):
            arriving = sum(values[source] for source in np.flatnonzero(arch.graph.edge_types[:, node]))
            values.append(1 if kind == "input" else worth.get(kind, 1) * arriving)
        a, b, c, d = (worth[kind] for kind in kinds if "=" in kind)
        assert values[-1] == (1 + a) * (1 + b + c) * (1 + d)


def test_options_of_one_name_share_a_type_and_equal_options_of_two_names_do_not():
    space = Chain("shared", [(Decision("a", ("1", "2")),), (Decision("a", ("2", "3")), Decision("b", ("1",)))])
    assert space.schema.node_types[3:] == ("a=1", "a=2", "a=3", "b=1")
    assert space.choices(space.parse("2|2|1")) == (1, 0, 0)


def test_decisions_are_drawn_uniformly():
    space = Chain("large", [(WIDTH, KERNEL)] * 12)
    draws = 2_000
    codes = np.array([space.choices(arch) for arch in space.sample(draws, np.random.default_rng(0))])
    for column, names in zip(codes.T, space.options, strict=True):
        share = 1 / len(names)
        shares = np.bincount(column, minlength=len(names)) / draws
        assert np.abs(shares - share).max() < 5 * np.sqrt(share * (1 - share) / draws)


def test_what_is_too_large_is_sampled_and_not_listed():
    space = Chain("huge", [(WIDTH, KERNEL)] * 12)
    assert space.size == 6**12 > LISTABLE
    check_space(space, np.random.default_rng(0), n=5)
    with pytest.raises(ProblemError, match="sample instead"):
        space.enumerate()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("16|3|16", "3 options where there are 4"),
        ("16|3|16|4", "decision 3 is '4', none of 3, 5"),
        ("16|3| 16|3", "decision 2"),
        ("", "1 options"),
    ],
)
def test_what_is_no_chain_is_refused_with_the_fault_and_an_example(text, fault):
    with pytest.raises(ArchitectureError, match=fault) as caught:
        SPACE.parse(text)
    assert "such as 16|3|16|3" in str(caught.value)


def test_foreign_graphs_are_refused():
    arch = next(SPACE.enumerate())
    with pytest.raises(ArchitectureError, match="8 nodes, not 1"):
        SPACE.from_graph(Graph(np.array([0]), np.zeros((1, 1), dtype=np.int64)))
    with pytest.raises(ArchitectureError, match="decision 0"):
        SPACE.from_graph(Graph(np.ones_like(arch.graph.node_types), arch.graph.edge_types))


def test_graphs_cannot_be_written_to():
    graph = next(SPACE.enumerate()).graph
    for array in (graph.node_types, graph.edge_types):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
