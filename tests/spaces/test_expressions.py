"""Texts of what graphs compute: equal exactly where the encoder's forest has the same root."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlso.architecture import Graph, Schema
from crlso.graphs import Forest
from crlso.spaces import get_space
from crlso.spaces.expressions import expression

SCHEMA = Schema(
    6,
    ("in", "other", "sum", "relu", "out", "last"),
    ("none", "skip", "conv", "dead"),
    identity_nodes=frozenset({"in", "other", "sum", "out"}),
    identity_edges=frozenset({"skip"}),
    sources=frozenset({"in", "other"}),
    sinks=frozenset({"out", "last"}),
    zero_edges=frozenset({"dead"}),
)


def random_graphs(rng, n):
    for _ in range(n):
        size = int(rng.integers(2, 6))
        nodes = np.concatenate([[0], rng.integers(0, 6, size=size - 1), [4]])
        edges = np.triu(rng.choice(4, p=[0.4, 0.3, 0.25, 0.05], size=(size + 1, size + 1)), 1)
        yield Graph(nodes, edges)


@given(seed=st.integers(0, 2**32 - 1))
def test_texts_are_equal_exactly_where_roots_are(seed):
    graphs = list(random_graphs(np.random.default_rng(seed), 60))
    roots = Forest.of(graphs, SCHEMA).roots.tolist()
    texts = [expression(graph, SCHEMA) for graph in graphs]
    assert len(set(zip(texts, roots, strict=True))) == len(set(texts)) == len(set(roots))


def test_the_cells_of_nasbench201_have_their_classes():
    space = get_space("nasbench201")
    archs = space.sample(3_000, np.random.default_rng(0))
    texts = [expression(arch.graph, space.schema) for arch in archs]
    pairs = {(text, arch.key) for text, arch in zip(texts, archs, strict=True)}
    assert len(pairs) == len(set(texts)) == len({arch.key for arch in archs})


@pytest.mark.parametrize(
    ("edges", "text"),
    [
        ([(0, 1, 2), (1, 4, 1)], "conv(in)"),
        ([(0, 1, 1), (0, 2, 1), (1, 4, 1), (2, 4, 1)], "2*in"),
        ([(0, 3, 1), (3, 4, 2)], "conv(relu[in])"),
        ([(0, 1, 3), (1, 4, 1)], ""),
        ([(1, 2, 2), (2, 4, 1)], ""),
    ],
)
def test_texts_read_as_formulas(edges, text):
    matrix = np.zeros((5, 5), dtype=np.int64)
    for i, j, kind in edges:
        matrix[i, j] = kind
    assert expression(Graph(np.array([0, 2, 2, 3, 4]), matrix), SCHEMA) == text


def test_texts_stay_short_where_sums_double_from_node_to_node():
    n = 30
    nodes = np.array([0, *[2] * (n - 2), 4])
    edges = np.triu(np.full((n, n), 1), 1)
    edges[:, -2] *= 2
    text = expression(Graph(nodes, edges), SCHEMA)
    assert "268435456" not in text or len(text) < 500
    assert len(text) < 500
