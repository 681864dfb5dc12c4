"""Theory of the forest: it computes what its graphs compute, and graphs that compute the same end in one root."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch

from crlso.architecture import Graph, Schema
from crlso.graphs import ABSENT, PASS, Forest, Padded, operations
from crlso.spaces.nasbench201 import NasBench201

PRIME = 2**61 - 1
SPACE = NasBench201()
TYPED = Schema(
    num_nodes=7,
    node_types=("input", "conv1x1", "conv3x3", "pool", "output"),
    edge_types=("none", "edge"),
    identity_nodes=frozenset({"input", "output"}),
    identity_edges=frozenset({"edge"}),
    sources=frozenset({"input"}),
    sinks=frozenset({"output"}),
)
"""Operations on nodes, as NAS-Bench-101 has them."""
BOTH = Schema(
    num_nodes=5,
    node_types=("left", "right", "mix", "sum", "end"),
    edge_types=("none", "pool", "pass", "conv"),
    identity_nodes=frozenset({"left", "sum"}),
    identity_edges=frozenset({"pass"}),
    sources=frozenset({"left", "right"}),
    sinks=frozenset({"sum", "end"}),
)
"""Operations on nodes and edges, two inputs, results anywhere."""


@pytest.fixture(scope="module")
def cells():
    return list(SPACE.enumerate())


@pytest.fixture(scope="module")
def forest(cells):
    return Forest.of((arch.graph for arch in cells), SPACE.schema)


def random_typed(rng):
    nodes = int(rng.integers(2, TYPED.num_nodes + 1))
    types = np.array([0, *rng.integers(1, 4, nodes - 2), 4])
    return Graph(types, np.triu(rng.random((nodes, nodes)) < 0.5, 1).astype(int))


def random_both(rng):
    nodes = int(rng.integers(1, BOTH.num_nodes + 1))
    return Graph(rng.integers(0, 5, nodes), np.triu(rng.integers(0, 4, (nodes, nodes)), 1))


def random_cell(rng):
    return SPACE.sample(1, rng)[0].graph


def relabelled(graph, rng):
    """The same graph with its nodes in another topological order."""
    order, left = [], list(range(graph.num_nodes))
    while left:
        ready = [node for node in left if not graph.edge_types[left, node].any()]
        order.append(int(rng.choice(ready)))
        left.remove(order[-1])
    return Graph(graph.node_types[order], graph.edge_types[np.ix_(order, order)])


def random_functions(schema, rng):
    """The identity for PASS, a random cubic without constant term for any other operation."""

    def cubic():
        a, b, c = (int(n) for n in rng.integers(1, PRIME, size=3))
        return lambda x: x * (a + x * (b + x * c)) % PRIME

    return [lambda x: x, *(cubic() for _ in range(len(schema.edge_types) + len(schema.node_types) - 1))]


def value_of_graph(graph, schema, functions, inputs):
    """The graph's result over the integers modulo a prime, node by node, straight from the meaning of a schema."""
    values = []
    for node, kind in enumerate(graph.node_types.tolist()):
        name = schema.node_types[kind]
        value = inputs[kind] if name in schema.sources else 0
        for source, edge in enumerate(graph.edge_types[:node, node].tolist()):
            passed = schema.edge_types[edge] in schema.identity_edges
            value += 0 if edge == 0 else values[source] if passed else functions[edge](values[source])
        own = len(schema.edge_types) + kind
        values.append(value % PRIME if name in schema.identity_nodes else functions[own](value % PRIME))
    ends = [schema.node_types[kind] in schema.sinks for kind in graph.node_types]
    return sum(value for value, end in zip(values, ends, strict=True) if end) % PRIME


def values_of_forest(forest, functions, inputs):
    """The roots' values over the integers modulo a prime, layer by layer."""
    values = [inputs[kind] if kind >= 0 else 0 for kind in forest.sources.tolist()]
    for layer in forest.layers:
        sums = defaultdict(int)
        operation = np.repeat(np.arange(len(layer.counts)), layer.counts)
        for o, (source, target) in zip(operation, layer.edge_index.T.tolist(), strict=True):
            sums[target] += functions[o](values[source])
        for target, value in sums.items():
            values[target] = value % PRIME
    return [values[root] for root in forest.roots.tolist()]


SPACES = pytest.mark.parametrize(
    ("schema", "draw"), [(SPACE.schema, random_cell), (TYPED, random_typed), (BOTH, random_both)]
)


@SPACES
def test_the_forest_computes_what_the_graphs_compute(schema, draw):
    rng = np.random.default_rng(0)
    graphs = [draw(rng) for _ in range(300)]
    functions, inputs = random_functions(schema, rng), [int(n) for n in rng.integers(1, PRIME, 5)]
    direct = [value_of_graph(graph, schema, functions, inputs) for graph in graphs]
    assert values_of_forest(Forest.of(graphs, schema), functions, inputs) == direct


@SPACES
def test_roots_are_equal_exactly_where_functions_are(schema, draw):
    """By Schwartz-Zippel two different polynomials hardly ever agree at a random point of so large a field."""
    rng = np.random.default_rng(1)
    graphs = [draw(rng) for _ in range(600)]
    functions, inputs = random_functions(schema, rng), [int(n) for n in rng.integers(1, PRIME, 5)]
    values = [value_of_graph(graph, schema, functions, inputs) for graph in graphs]
    roots = Forest.of(graphs, schema).roots.tolist()
    assert len(set(roots)) == len(set(values)) == len(set(zip(roots, values, strict=True)))
    assert 1 < len(set(roots)) < len(graphs)


@SPACES
def test_relabelled_nodes_end_in_the_same_root(schema, draw):
    rng = np.random.default_rng(2)
    graphs = [draw(rng) for _ in range(200)]
    others = [relabelled(graph, rng) for graph in graphs]
    moved = [
        graph.node_types.tolist() != other.node_types.tolist() for graph, other in zip(graphs, others, strict=True)
    ]
    assert any(moved)
    roots = Forest.of([*graphs, *others], schema).roots
    assert torch.equal(roots[:200], roots[200:])


def test_one_root_a_class_of_all_cells(cells, forest):
    assert len(forest) == len(cells) == 15_625
    pairs = {(arch.key, root) for arch, root in zip(cells, forest.roots.tolist(), strict=True)}
    assert len(pairs) == len({key for key, _ in pairs}) == len({root for _, root in pairs}) == 4_930


def test_common_parts_of_all_cells_are_nodes_once(forest):
    """What a node of a cell computes is the result of a smaller cell: no expression is left that is no root."""
    assert len(forest.sources) == 4_930


def test_what_has_no_way_to_the_sink_is_zero():
    dead = SPACE.parse("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|none~0|none~1|none~2|").graph
    zero = Graph(dead.node_types, np.zeros((4, 4), dtype=int))
    forest = Forest.of([dead, zero], SPACE.schema)
    assert forest.roots[0] == forest.roots[1]
    alone = forest.subset(torch.tensor([0]))
    assert alone.sources.tolist() == [-1]
    assert alone.layers == ()


@SPACES
def test_layers_are_in_topological_order_and_sorted_by_operation(schema, draw):
    rng = np.random.default_rng(3)
    forest = Forest.of([draw(rng) for _ in range(200)], schema)
    level = torch.zeros(len(forest.sources), dtype=torch.long)
    for number, layer in enumerate(forest.layers, start=1):
        source, target = layer.edge_index
        assert (level[source] < number).all()
        assert (level[target] == 0).all(), "a target is complete after one layer"
        level[target] = number
        assert sum(layer.counts) == len(source)
    used = {operation for layer in forest.layers for operation, count in enumerate(layer.counts) if count}
    assert used == {PASS, *operations(schema)}


def test_operations_are_numbered_through_edges_first():
    assert operations(SPACE.schema) == (2, 3, 4)
    assert operations(TYPED) == (3, 4, 5)
    assert operations(BOTH) == (1, 3, 4 + 1, 4 + 2, 4 + 4)


def test_a_subset_computes_the_same_in_the_order_given(forest):
    rng = np.random.default_rng(4)
    functions, inputs = random_functions(SPACE.schema, rng), [7, 0, 0]
    rows = torch.from_numpy(rng.integers(0, len(forest), 50))
    rows[1] = rows[0]
    every, some = values_of_forest(forest, functions, inputs), forest.subset(rows)
    assert len(some) == 50
    assert values_of_forest(some, functions, inputs) == [every[row] for row in rows.tolist()]


def test_a_subset_holds_only_what_it_needs(cells, forest):
    rows = [cells.index(arch) for arch in SPACE.sample(20, np.random.default_rng(5))]
    alone = Forest.of((cells[row].graph for row in rows), SPACE.schema)
    some = forest.subset(torch.tensor(rows))
    assert len(some.sources) == len(some.subset(torch.arange(20)).sources) <= len(alone.sources)
    assert all(sum(layer.counts) for layer in some.layers)


def test_a_forest_moves_between_devices(forest):
    moved = forest.to("meta")
    tensors = [moved.sources, moved.roots, *(layer.edge_index for layer in moved.layers)]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert [layer.counts for layer in moved.layers] == [layer.counts for layer in forest.layers]


def test_a_zero_edge_has_a_place_and_brings_nothing():
    schema = replace(BOTH, zero_edges=frozenset({"pool"}))
    nodes = np.array([0, 2, 4])
    conv, both, none = np.zeros((3, 3, 3), dtype=int)
    conv[0, 2] = both[0, 2] = 3
    both[0, 1] = both[1, 2] = 1
    with_zeros, without, empty = Forest.of([Graph(nodes, edges) for edges in (both, conv, none)], schema).roots.tolist()
    assert with_zeros == without != empty
    assert 1 not in operations(schema)


def test_padding_keeps_a_graph_in_its_corner():
    small, large = SPACE.sample(2, np.random.default_rng(6))
    graph = Graph(small.graph.node_types[:2], small.graph.edge_types[:2, :2])
    padded = Padded.of([graph, large.graph], SPACE.schema)
    assert len(padded) == 2
    assert padded.node_types[0].tolist() == [*graph.node_types.tolist(), ABSENT, ABSENT]
    assert padded.edge_types[0, :2, :2].tolist() == graph.edge_types.tolist()
    assert padded.edge_types[0].count_nonzero() == np.count_nonzero(graph.edge_types)
    swapped = padded.subset(torch.tensor([1, 0, 1]))
    assert swapped.edge_types[[0, 2]].tolist() == 2 * [large.graph.edge_types.tolist()]
    assert padded.to("meta").node_types.device.type == padded.to("meta").edge_types.device.type == "meta"
