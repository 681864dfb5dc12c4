"""Statistics over all paths agree with listing the paths."""

import numpy as np
import pytest

from crlso.latent.depths import depth_features
from crlso.spaces import get_space


def listed_paths(graph, schema):
    """Every way from a source to a sink as the operations met on it, one tuple a way."""
    ways, ends = [], []
    for node, code in enumerate(graph.node_types):
        kind = schema.node_types[code]
        here = [()] if kind in schema.sources else []
        for source in range(node):
            whole = schema.edge_types[graph.edge_types[source, node]]
            for edge in schema.parts.get(whole, {whole}):
                if graph.edge_types[source, node] and edge not in schema.zero_edges:
                    step = () if edge in schema.identity_edges else (edge,)
                    here += [way + step for way in ways[source]]
        if kind not in schema.identity_nodes:
            here = [(*way, kind) for way in here]
        ways.append(here)
        ends += here if kind in schema.sinks else []
    return ends


@pytest.mark.parametrize("name", ["nasbench201", "nasbench101", "darts"])
def test_they_are_those_of_the_listed_paths(name):
    space = get_space(name)
    graphs = [space.canonical(arch).graph for arch in space.sample(40, np.random.default_rng(0))]
    for graph, row in zip(graphs, depth_features(graphs, space.schema), strict=True):
        lengths = [len(way) for way in listed_paths(graph, space.schema)]
        assert row[0] == pytest.approx(np.log1p(len(lengths)))
        assert row[1] == (bool(lengths) and min(lengths) == 0)
        assert row[2] == max(lengths, default=0)
        assert row[-1] == pytest.approx(np.mean(lengths) if lengths else 0)


def test_every_operation_of_a_set_is_a_way():
    space = get_space("darts-flexible-dnad@3")
    graphs = [arch.graph for arch in space.sample_sized(10, np.random.default_rng(0), 1.3)]
    kinds = [n for n, name in enumerate(space.schema.edge_types[1:]) if name not in space.schema.parts]
    for graph, row in zip(graphs, depth_features(graphs, space.schema), strict=True):
        ways = listed_paths(graph, space.schema)
        assert row[0] == pytest.approx(np.log1p(len(ways)))
        assert row[2] == max(map(len, ways))
        separable = np.mean([way.count("sep_conv_3x3") for way in ways])
        assert np.isclose(row[3:-1], separable).any()
    assert row.shape == (3 + len(kinds) - 1 + 2 + 1,)  # all but the skip; both outputs; of all


def test_a_cell_that_does_nothing_is_all_zero():
    space = get_space("nasbench201")
    graph = space.from_choices([0] * 6).graph
    assert not depth_features([graph], space.schema).any()


def test_the_kinds_add_up_to_all():
    space = get_space("nasbench201")
    graphs = [arch.graph for arch in space.sample(50, np.random.default_rng(1))]
    rows = depth_features(graphs, space.schema)
    assert np.allclose(rows[:, 3:-1].sum(axis=1), rows[:, -1])
