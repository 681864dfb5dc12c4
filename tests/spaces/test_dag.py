"""Typed DAGs: counts, classes and limits, and NAS-Bench-201 written as one."""

import numpy as np
import pytest

from crlso.architecture import Graph
from crlso.exceptions import ArchitectureError, ProblemError
from crlso.graphs import Forest
from crlso.spaces.dag import Node, TypedDag
from crlso.spaces.nasbench201 import EDGES, OPERATIONS
from crlso.testing import check_space

PLAIN = {"sources": frozenset({"in"}), "sinks": frozenset({"out"})}
IDENTITY = {"identity_nodes": frozenset({"in", "sum", "out"}), "identity_edges": frozenset({"skip"})}


def chosen_nodes():
    """Two nodes that sum or clip, at most two edges into each; one edge has to be there."""
    kinds = ("sum", "relu")
    edges = {(i, j): ("none", "skip", "conv") for j in range(1, 5) for i in range(j)}
    edges[0, 1] = ("skip", "conv")
    return TypedDag(
        "chosen",
        [Node(("in",)), Node(kinds), Node(kinds, most_inputs=1), Node(("sum",), most_inputs=2), Node(("out",))],
        {pair: allowed for pair, allowed in edges.items() if pair not in ((1, 3), (1, 4), (2, 4))},
        **IDENTITY,
        **PLAIN,
    )


def benchmark():
    return TypedDag(
        "cells",
        [Node(("in",)), Node(("sum",)), Node(("sum",)), Node(("out",))],
        dict.fromkeys(EDGES, OPERATIONS),
        identity_nodes=IDENTITY["identity_nodes"],
        identity_edges=frozenset({"skip_connect"}),
        **PLAIN,
    )


def cells(nodes):
    """A space of some 10^20 cells: all edges between many nodes, at most three into each."""
    kinds = ("none", "skip", "conv3", "conv5", "pool")
    return TypedDag(
        "huge",
        [Node(("in",)), *[Node(("sum", "relu"), most_inputs=3)] * nodes, Node(("out",))],
        {(i, j): kinds for j in range(1, nodes + 2) for i in range(j)},
        **IDENTITY,
        **PLAIN,
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_laws_of_spaces(seed):
    check_space(chosen_nodes(), np.random.default_rng(seed), n=20)


def test_all_architectures_are_there_once():
    space = chosen_nodes()
    texts = [arch.text for arch in space.enumerate()]
    into = 2, 1 + 2 * 2, 1 + 2 * 2 + 4, 3**2
    assert len(set(texts)) == len(texts) == space.size == 2 * 2 * np.prod(into)
    assert {arch.text for arch in space.sample(space.size, np.random.default_rng(0))} == set(texts)


def test_nasbench201_as_a_dag_has_its_cells_and_classes():
    space = benchmark()
    assert space.size == 15_625
    assert len({arch.key for arch in space.enumerate()}) == 4_930


def test_representatives_have_no_dead_parts():
    space = chosen_nodes()
    arch = space.parse('{"nodes":["in","relu","relu","sum","out"],"edges":[[0,1,"conv"],[1,2,"conv"],[0,4,"skip"]]}')
    best = space.canonical(arch)
    assert best.text == '{"nodes":["in","sum","sum","sum","out"],"edges":[[0,1,"skip"],[0,4,"skip"]]}'


def test_the_laws_of_spaces_hold_where_nobody_can_list_them():
    check_space(cells(4), np.random.default_rng(0), n=4)


def test_a_large_space_is_sampled_evenly_within_its_limits():
    space = cells(8)
    assert space.size > 10**18
    check = space.sample(300, np.random.default_rng(0))
    inputs = np.array([np.count_nonzero(arch.graph.edge_types, axis=0) for arch in check])
    assert inputs[:, 1:-1].max() == 3
    with pytest.raises(ProblemError, match="sample instead"):
        space.enumerate()


def test_pruning_keeps_the_function_and_ends():
    space = cells(5)
    archs = space.sample(100, np.random.default_rng(0))
    pruned = [space.canonical(arch) for arch in archs]
    roots = Forest.of((arch.graph for arch in [*archs, *pruned]), space.schema).roots.tolist()
    assert roots[:100] == roots[100:]
    assert [space.canonical(arch).text for arch in pruned] == [arch.text for arch in pruned]
    assert any(one.text != other.text for one, other in zip(archs, pruned, strict=True))


def test_decoding_keeps_the_likeliest_inputs():
    space = cells(3)
    nodes, edges = np.zeros((1, 5, 4)), np.zeros((1, 5, 5, 5))
    edges[0, 0, 4, 2], edges[0, 1, 4, 2], edges[0, 2, 4, 3], edges[0, 3, 4, 1] = 3.0, 1.0, 2.0, 4.0
    (free,) = space.decode(nodes, edges)
    assert np.count_nonzero(free.graph.edge_types[:, 4]) == 4  # the output has no limit
    edges[0, :, 3] = edges[0, :, 4]
    (arch,) = space.decode(nodes, edges)
    assert arch.graph.edge_types[:, 3].tolist() == [2, 2, 3, 0, 0]
    limited = TypedDag(
        "limited",
        [Node(("in",)), Node(("sum",)), Node(("out",), most_inputs=1)],
        {(0, 1): ("none", "conv"), (0, 2): ("none", "conv"), (1, 2): ("conv", "skip")},
        **IDENTITY,
        **PLAIN,
    )
    for _ in range(20):
        edge_logits = np.random.default_rng(0).normal(size=(1, 3, 3, 3))
        (arch,) = limited.decode(np.zeros((1, 3, 3)), edge_logits)
        assert arch.graph.edge_types[0, 2] == 0
        assert arch.graph.edge_types[1, 2] > 0


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "Expecting value"),
        ("[" * 10_000, "recursion|too many|Expecting"),
        ("[]", "there must be nodes and edges"),
        ('{"nodes":[],"edges":[]}', "must list 5 types"),
        ('{"nodes":["in","sum","sum","sum","out"],"edges":[[0,1]]}', "no edge: expected"),
        ('{"nodes":["in","sum","sum","sum","out"],"edges":{}}', "no edge: expected"),
        ('{"nodes":["in","sum","sum","sum","out"],"edges":[[true,1,"conv"]]}', "no edge: expected"),
        ('{"nodes":["in","sum","sum","sum","out"],"edges":[[0,1,"conv"],[1,0,"conv"]]}', "can be no edge from 1 to 0"),
        ('{"nodes":["in","sum","sum","sum","out"],"edges":[[0,1,"conv"],[0,1,"skip"]]}', "but one edge from 0 to 1"),
        ('{"nodes":["in","sum","sum","sum","out"],"edges":[]}', "from 0 to 1 is 'none', and not skip, conv"),
        ('{"nodes":["in","sum","sum","relu","out"],"edges":[[0,1,"conv"]]}', "node 3 is 'relu', and not sum"),
        ('{"nodes":["in","sum",["sum"],"sum","out"],"edges":[[0,1,"conv"]]}', "node 2 is"),
        ('{"nodes":["in","sum","sum","sum","out"],"edges":[[0,1,"pool"]]}', "from 0 to 1 is 'pool'"),
        (
            '{"nodes":["in","sum","sum","sum","out"],"edges":[[0,1,"conv"],[0,2,"conv"],[1,2,"conv"]]}',
            "2 edges arrive at node 2, which may have 1",
        ),
    ],
)
def test_what_is_no_architecture_is_refused_with_the_fault(text, fault):
    with pytest.raises(ArchitectureError, match=fault):
        chosen_nodes().parse(text)


def test_edges_may_come_in_any_order_and_absent_ones_may_be_named():
    space = chosen_nodes()
    arch = space.parse(
        ' {"edges": [[3, 4, "skip"], [0, 2, "none"], [0, 1, "conv"]], "nodes": ["in", "sum", "sum", "sum", "out"]}\n'
    )
    assert arch.text == '{"nodes":["in","sum","sum","sum","out"],"edges":[[0,1,"conv"],[3,4,"skip"]]}'


def test_foreign_graphs_are_refused():
    space = chosen_nodes()
    graph = next(space.enumerate()).graph
    edges = graph.edge_types.copy()
    edges[1, 3] = 1
    for foreign in (Graph(graph.node_types, edges), Graph(graph.node_types[1:], graph.edge_types[1:, 1:])):
        with pytest.raises(ArchitectureError, match="other nodes, or edges where there are none"):
            space.from_graph(foreign)
    with pytest.raises(ArchitectureError, match="node 0 is 'sum', and not in"):
        space.from_graph(Graph(graph.node_types[[1, 1, 2, 3, 4]], graph.edge_types))


def test_choices_that_do_not_fit_together_are_refused():
    space = chosen_nodes()
    full = [len(names) - 1 for names in space.options]
    with pytest.raises(ArchitectureError, match="edges arrive at node 2"):
        space.from_choices(full)
    with pytest.raises(ArchitectureError, match="decisions"):
        space.from_choices(full[1:])
