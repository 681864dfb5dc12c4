"""The path encoding against a walk over all choices of edges."""

from itertools import combinations, pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crlso.architecture import Graph, Schema
from crlso.search import paths as module
from crlso.search.paths import encode_paths, frequent_paths, paths
from crlso.spaces import get_space

SCHEMA = Schema(
    num_nodes=6,
    node_types=("input", "sum", "conv", "output"),
    edge_types=("absent", "flow", "pool", "zero"),
    identity_nodes=frozenset({"input", "sum", "output"}),
    identity_edges=frozenset({"flow"}),
    sources=frozenset({"input"}),
    sinks=frozenset({"output"}),
    zero_edges=frozenset({"zero"}),
)


def brute_force(graph, schema):
    """Every increasing sequence of nodes whose edges are all there, from a source to a sink."""
    kinds = [schema.node_types[code] for code in graph.node_types]
    found = set()
    for length in range(1, graph.num_nodes + 1):
        for walk in combinations(range(graph.num_nodes), length):
            edges = [schema.edge_types[graph.edge_types[i, j]] for i, j in pairwise(walk)]
            if {schema.edge_types[0], *schema.zero_edges} & set(edges):
                continue
            if kinds[walk[0]] in schema.sources and kinds[walk[-1]] in schema.sinks:
                steps = [kinds[walk[0]]]
                for edge, node in zip(edges, walk[1:], strict=True):
                    passes = kinds[node] in schema.identity_nodes and kinds[node] not in schema.sinks
                    steps += [edge] if passes else [edge, kinds[node]]
                found.add(tuple(steps))
    return found


@given(data=st.data(), n=st.integers(1, 6))
def test_paths_are_those_of_a_brute_force(data, n):
    kinds = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    edges = np.triu(np.reshape(data.draw(st.lists(st.integers(0, 3), min_size=n * n, max_size=n * n)), (n, n)), 1)
    graph = Graph(np.array(kinds), edges)
    assert paths(graph, SCHEMA) == brute_force(graph, SCHEMA)


def test_operations_of_a_cell_along_its_four_routes():
    space = get_space("nasbench201")
    cell = space.parse("|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|none~1|nor_conv_1x1~2|")
    assert paths(cell.graph, space.schema) == {
        ("input", "skip_connect", "output"),
        ("input", "nor_conv_3x3", "avg_pool_3x3", "nor_conv_1x1", "output"),
    }


def test_of_exponentially_many_paths_the_shortest_are_followed():
    n = 20
    kinds = np.array([0, *[2] * (n - 2), 3])
    edges = np.triu(np.random.default_rng(0).integers(1, 3, size=(n, n)), 1)
    found = paths(Graph(kinds, edges), SCHEMA)
    assert len(found) == module._MOST_FOLLOWED
    assert ("input", SCHEMA.edge_types[edges[0, -1]], "output") in found
    assert max(map(len, found)) < 2 * n - 1


def test_features_are_the_paths_that_come_twice_the_most_frequent_first():
    space = get_space("nasbench201")
    graphs = [arch.graph for arch in space.sample(200, np.random.default_rng(0))]
    of_each = [paths(graph, space.schema) for graph in graphs]
    columns = frequent_paths(graphs, space.schema, most=10)
    counts = {path: sum(path in found for found in of_each) for path in set().union(*of_each)}
    assert sorted(columns.values()) == list(range(10))
    assert min(counts[path] for path in columns) >= max(counts[path] for path in counts.keys() - columns.keys())
    for graph, found in zip(graphs, of_each, strict=True):
        np.testing.assert_array_equal(encode_paths(graph, space.schema, columns), [path in found for path in columns])
    once = frequent_paths(graphs[:1], space.schema, most=10)
    assert once == {}
