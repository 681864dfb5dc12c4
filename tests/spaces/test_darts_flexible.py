"""Flexible architectures: the notation, the count, the classes, the graph, and DARTS as a part of the space."""

import json
from math import comb, prod
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlso.architecture import Graph
from crlso.exceptions import ArchitectureError, ProblemError, SpaceError, UnknownNameError
from crlso.graphs import Forest
from crlso.latent.features import type_parts
from crlso.spaces.darts import Darts
from crlso.spaces.darts_flexible import (
    FAMILIES,
    FlexibleDarts,
    cells_of,
    from_darts,
    reduces,
    to_darts,
)

SMALL, FULL = FlexibleDarts("darts-flexible-dnad", 3), FlexibleDarts("darts-flexible")
PRIME = 2**61 - 1
PLAIN = [
    [("sep_conv_3x3", 0), ("skip_connect", 1)],
    [("skip_connect", 0)],
    [("dil_conv_5x5", 2)],
    [("skip_connect", 4)],
]
TEXT = SMALL.from_cells([PLAIN] * 3).text
DARTS_V2 = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('skip_connect', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=range(2, 6), "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('max_pool_3x3', 1), ('skip_connect', 2)], reduce_concat=range(2, 6))"
)


def evaluate(arch, seed):
    """The result with operations, and each cell's ways to read others, as random cubics modulo a prime.

    A cell's output is a polynomial with its nodes as roots, at a random place: the order of nodes does not matter. The
    first cell, whose inputs are both the stem, is evaluated both ways round.
    """
    rng = np.random.default_rng(seed)
    cells = cells_of(arch)
    names = ("sep_conv_3x3", "skip_connect", "dil_conv_5x5", "reduction", *range(2 * len(cells)))
    cubics = {name: rng.integers(1, PRIME, size=3).tolist() for name in names}
    stem, at, beside = rng.integers(1, PRIME, size=3).tolist()

    def apply(name, x):
        a, b, c = cubics[name]
        return x * (a + x * (b + x * c)) % PRIME

    def run(cell, inputs, shrinks):
        values = list(inputs)
        for node in cell:
            terms = []
            for name, source in node:
                if name != "skip_connect":
                    terms.append(apply(name, values[source]))
                else:
                    terms.append(apply("reduction", values[source]) if shrinks and source < 2 else values[source])
            values.append(sum(terms) % PRIME)
        return prod(at - value for value in values[2:]) % PRIME

    before_last = last = stem
    for index, cell in enumerate(cells):
        inputs = apply(2 * index, before_last), apply(2 * index + 1, last)
        shrinks = reduces(index, len(cells))
        output = run(cell, inputs, shrinks)
        if index == 0:
            output = (beside - output) * (beside - run(cell, inputs[::-1], shrinks)) % PRIME
        before_last, last = last, output
    return last


def one_pair_nodes(n, seed):
    """Architectures whose nodes have one pair each, of which many are twins, and some cells unused."""
    rng = np.random.default_rng(seed)
    return [
        SMALL.from_cells(
            [
                [[(str(rng.choice(SMALL.operations[:2])), int(rng.integers(node)))] for node in range(2, 6)]
                for _ in range(3)
            ]
        )
        for _ in range(n)
    ]


def test_size_counts_the_sets_that_are_not_empty():
    for space in (SMALL, FULL):
        pairs = [len(space.operations) * inputs for inputs in range(2, 6)]
        a_cell = prod(sum(comb(m, kept) for kept in range(1, m + 1)) for m in pairs)
        assert space.size == a_cell**space.cells
    with pytest.raises(ProblemError, match="sample instead"):
        SMALL.enumerate()


def test_names_operations_and_depths():
    assert {name: FlexibleDarts(name).cells for name in FAMILIES} == dict.fromkeys(FAMILIES, 8)
    assert FlexibleDarts("darts-flexible", 5).name == "darts-flexible@5"
    assert "none" not in FULL.operations
    assert len(FULL.operations) == 7
    with pytest.raises(SpaceError, match="expected 3 to 20"):
        FlexibleDarts("darts-flexible", 2)
    with pytest.raises(UnknownNameError, match="darts-flexible-dnad"):
        FlexibleDarts("darts")


def test_reductions_stand_at_a_third_and_two_thirds():
    assert [index for index in range(8) if reduces(index, 8)] == [2, 5]
    assert all(not reduces(0, cells) and sum(reduces(i, cells) for i in range(cells)) == 2 for cells in range(3, 21))


def test_the_notation_is_compact_json():
    assert TEXT.startswith('{"cells":[[[["sep_conv_3x3",0],["skip_connect",1]],[["skip_connect",0]],')
    assert [[list(map(tuple, node)) for node in cell] for cell in json.loads(TEXT)["cells"]] == [PLAIN] * 3
    assert SMALL.parse(f"\n {json.dumps(json.loads(TEXT), indent=1)}").text == TEXT
    assert SMALL.from_cells([[node[::-1] for node in PLAIN]] * 3).text == TEXT  # other than in texts, in any order


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"cells":null}',
        '{"cells":[]}',
        TEXT.replace("cells", "cell"),
        TEXT[:-1] + ',"cells":[]}',
        TEXT[:-1] + ',"more":1}',
        TEXT + TEXT,
        TEXT.replace('[["skip_connect",4]]', "[]", 1),
        TEXT.replace('["skip_connect",4]', '["skip_connect"]', 1),
        TEXT.replace('["skip_connect",4]', '["skip_connect",4,4]', 1),
        TEXT.replace('["skip_connect",4]', '"skip_connect"', 1),
        TEXT.replace('["skip_connect",4]', "3", 1),
        TEXT.replace('["skip_connect",4]', '[["skip_connect"],4]', 1),
        TEXT.replace('["skip_connect",4]', '["none",4]', 1),
        TEXT.replace('["skip_connect",4]', '["max_pool_3x3",4]', 1),  # of the larger family
        TEXT.replace('["skip_connect",4]', '["skip_connect",5]', 1),  # reads itself
        TEXT.replace('["skip_connect",4]', '["skip_connect",-1]', 1),
        TEXT.replace('["skip_connect",4]', '["skip_connect",4.0]', 1),
        TEXT.replace('["skip_connect",0]', '["skip_connect",false]', 1),
        TEXT.replace('["skip_connect",4]', '["skip_connect",NaN]', 1),
        TEXT.replace('["skip_connect",4]', '["skip_connect",4],["skip_connect",4]', 1),
        TEXT.replace('["sep_conv_3x3",0],["skip_connect",1]', '["skip_connect",1],["sep_conv_3x3",0]', 1),
        TEXT.replace('["sep_conv_3x3",0],["skip_connect",1]', '["skip_connect",0],["sep_conv_3x3",0]', 1),
        "[" * 2500,
        '{"cells":' + "[" * 2900,
        TEXT + " " * 10_000,
    ],
)
def test_what_is_no_architecture_is_refused_with_the_pattern(text):
    with pytest.raises(ArchitectureError, match=r'expected \{"cells":.* with 3 cells and the operations sep_conv_3x3'):
        SMALL.parse(text)


def test_an_empty_node_is_refused_wherever_it_comes_from():
    with pytest.raises(ArchitectureError, match="node 2 of cell 0 is empty"):
        SMALL.from_choices([0] * len(SMALL.options))
    with pytest.raises(ArchitectureError, match="node 3 of cell 1 is empty"):
        SMALL.from_cells([PLAIN, [PLAIN[0], [], *PLAIN[2:]], PLAIN])
    edges = SMALL.parse(TEXT).graph.edge_types.copy()
    edges[:6, 6] = 0
    with pytest.raises(ArchitectureError, match="node 5 of cell 0 is empty"):
        SMALL.from_graph(Graph(SMALL.parse(TEXT).graph.node_types, edges))


@pytest.mark.parametrize("choices", [[1], [2] * 126, [-1] * 126, [1] * 125])
def test_choices_without_an_option_are_refused(choices):
    with pytest.raises(ArchitectureError, match="expected 126, each 0 or 1"):
        SMALL.from_choices(choices)


def test_a_choice_is_a_pair():
    arch = SMALL.parse(TEXT)
    places = [
        (cell, node, source, name)
        for cell in range(3)
        for node in range(2, 6)
        for source in range(node)
        for name in SMALL.operations
    ]
    chosen = [place for place, there in zip(places, SMALL.choices(arch), strict=True) if there]
    cells = enumerate(cells_of(arch))
    assert chosen == [(c, n, i, o) for c, cell in cells for n, node in enumerate(cell, start=2) for o, i in node]


def test_foreign_graphs_are_refused():
    graph = SMALL.parse(TEXT).graph
    with pytest.raises(ArchitectureError, match="22 nodes, not 57"):
        FULL.from_graph(graph)
    edges = graph.edge_types.copy()
    edges[1, 3] = SMALL.schema.edge_types.index("concat")
    with pytest.raises(ArchitectureError, match="type of another place"):
        SMALL.from_graph(Graph(graph.node_types, edges))
    with pytest.raises(ArchitectureError, match="'darts' is no flexible space"):
        cells_of(Darts().parse(DARTS_V2))


@pytest.mark.parametrize("sparse", [False, True])
def test_keys_are_equal_exactly_where_functions_are(sparse):
    """Schwartz-Zippel on draws and their representatives; the graph never takes two functions for one."""
    rng = np.random.default_rng(0)
    archs = one_pair_nodes(600, 1) if sparse else SMALL.sample_sized(300, rng, 1.5)
    archs += [SMALL.canonical(arch) for arch in archs]
    by_key, by_value = {}, {}
    for arch in archs:
        value = evaluate(arch, seed=2)
        assert by_key.setdefault(arch.key, value) == value, f"{arch} computes something else than its twins"
        assert by_value.setdefault(value, arch.key) == arch.key, f"{arch} has a twin of another key"
    forest = Forest.of((arch.graph for arch in archs), SMALL.schema)
    assert len(set(zip(forest.roots.tolist(), (arch.key for arch in archs), strict=True))) == len(
        set(forest.roots.tolist())
    )
    if sparse:
        assert len(by_key) < len({arch.text for arch in archs[:600]})


def test_cells_that_nothing_reads_make_no_difference():
    """The last two cells read their input 0 alone: the second does not matter, and the first does."""
    only_0 = [[("skip_connect", 0)], [("skip_connect", 2)], [("skip_connect", 2)], [("sep_conv_3x3", 2)]]
    first, second, third = (
        SMALL.from_cells([a, b, only_0]) for a, b in ((PLAIN, PLAIN), (PLAIN, only_0), (only_0, PLAIN))
    )
    assert first == second != third
    assert SMALL.canonical(first).text == SMALL.canonical(second).text
    picture = ET.fromstring(SMALL.draw(first))
    svg = "{http://www.w3.org/2000/svg}"
    assert [cell.get("opacity") for cell in picture.findall(f"{svg}g")] == ["1", "0.4", "1"]


def test_a_skip_from_an_input_is_an_identity_in_normal_cells_only():
    def last_two(direct, cells):
        skip, sep = [("skip_connect", 0), ("skip_connect", 1)], [("sep_conv_3x3", 0 if direct else 2)]
        one = [[("skip_connect", 0)], sep, skip, skip]
        return [one if index in cells else PLAIN for index in range(3)]

    assert SMALL.from_cells(last_two(True, {0})) == SMALL.from_cells(last_two(False, {0}))
    assert SMALL.from_cells(last_two(True, {2})) != SMALL.from_cells(last_two(False, {2}))


def test_edges_are_sets_and_the_stack_is_a_frame():
    schema, graph = SMALL.schema, SMALL.parse(TEXT).graph
    names = {
        (i, j): schema.edge_types[graph.edge_types[i, j]] for i, j in zip(*graph.edge_types.nonzero(), strict=True)
    }
    stack = {pair: name for pair, name in names.items() if name in ("before_last", "last", "concat")}
    assert {pair for pair, name in stack.items() if name == "last"} == {(0, 2), (7, 9), (14, 16)}
    assert {pair for pair, name in stack.items() if name == "before_last"} == {(0, 1), (0, 8), (7, 15)}
    assert len(stack) == 6 + 12
    assert names[2, 3] == "skip_connect"  # the first cell
    assert names[9, 10] == names[8, 11] == "factorized_reduce"  # the second one reduces
    assert [schema.node_types[kind] for kind in graph.node_types[[0, 1, 3, 7, 21]]] == [
        "stem", "input", "sum", "output", "result"
    ]  # fmt: skip


def test_features_see_the_operations_of_a_set():
    made = type_parts(SMALL.schema)
    plain = [name for name in SMALL.schema.edge_types if name not in SMALL.schema.parts]
    assert len(plain) == 1 + 3 + 3
    row = made[SMALL.schema.edge_types.index("sep_conv_3x3+dil_conv_5x5")]
    assert [name for name, there in zip(plain, row, strict=True) if there] == ["sep_conv_3x3", "dil_conv_5x5"]


def test_decoding_takes_the_most_likely_architecture():
    """No other one has a larger sum of logits; absent edges are so likely that some nodes would stay empty."""
    rng = np.random.default_rng(0)
    size, kinds = SMALL.schema.num_nodes, len(SMALL.schema.edge_types)
    edges = rng.normal(size=(1, size, size, kinds))
    edges[..., 0] += 3.0
    (best,) = SMALL.decode(np.zeros((1, size, len(SMALL.schema.node_types))), edges)
    assert min(len(node) for cell in cells_of(best) for node in cell) == 1
    upper = np.triu_indices(size, 1)

    def total(arch):
        return edges[0][(*upper, arch.graph.edge_types[upper])].sum()

    rivals = [*SMALL.neighbours(best), *SMALL.sample(100, rng), *SMALL.sample_sized(100, rng, 1.0)]
    assert all(total(rival) <= total(best) for rival in rivals)


def test_sampling_is_uniform():
    """A pair is there in half of all sets of a node, up to the empty one; within five standard deviations."""
    n = 3000
    rows = np.array([SMALL.choices(arch) for arch in SMALL.sample(n, np.random.default_rng(0))])
    shares = rows.reshape(n * 3, -1).mean(axis=0)
    m = np.repeat([6, 9, 12, 15], [6, 9, 12, 15])
    p = 2.0 ** (m - 1) / (2.0**m - 1)
    assert np.abs(shares - p).max() <= 5 * np.sqrt(0.25 / (3 * n))


@pytest.mark.parametrize("wanted", [1.0, 2.0, 3.7, 6.0])
def test_sized_draws_have_the_wanted_mean_and_pairs_of_a_node_alike(wanted):
    archs = SMALL.sample_sized(800, np.random.default_rng(0), wanted)
    assert len({arch.text for arch in archs}) == 800
    counts = np.array([[len(node) for node in cell] for arch in archs for cell in cells_of(arch)])
    for column, pairs in zip(counts.T, (6, 9, 12, 15), strict=True):
        share = (wanted - 1) / (pairs - 1)
        deviation = np.sqrt((pairs - 1) * share * (1 - share) / len(column))
        assert abs(column.mean() - wanted) <= 5 * deviation + 1e-9
    rows = np.array([SMALL.choices(arch) for arch in archs]).reshape(2400, -1)[:, 27:]  # of the last node
    p = wanted / 15
    assert np.abs(rows.mean(axis=0) - p).max() <= 5 * np.sqrt(p * (1 - p) / 2400)


@pytest.mark.parametrize("wanted", [0.9, 6.1])
def test_impossible_sizes_are_refused_with_those_that_are_possible(wanted):
    with pytest.raises(ProblemError, match="expected 1 to 6"):
        SMALL.sample_sized(1, np.random.default_rng(0), wanted)


@given(seed=st.integers(0, 2**32 - 1))
def test_genotypes_go_there_and_back(seed):
    genotypes = Darts()
    (arch,) = genotypes.sample(1, np.random.default_rng(seed))
    if "none" in arch.text:
        arch = genotypes.parse(arch.text.replace("none", "sep_conv_5x5"))
    there = from_darts(arch, FULL)
    assert to_darts(there).text == arch.text
    assert (from_darts(genotypes.canonical(arch), FULL) == there) or "none" in genotypes.canonical(arch).text


def test_none_is_absence():
    arch = Darts().parse(DARTS_V2.replace("normal=[('sep_conv_3x3', 0)", "normal=[('none', 0)"))
    cells = cells_of(from_darts(arch, FULL))
    assert [cell[0] for cell in cells[:3]] == [(("sep_conv_3x3", 1),)] * 2 + [
        (("max_pool_3x3", 0), ("max_pool_3x3", 1))
    ]
    with pytest.raises(ArchitectureError, match="node 2 of the normal cell has the pairs"):
        to_darts(from_darts(arch, FULL))
    empty = DARTS_V2.replace("('max_pool_3x3', 0), ('max_pool_3x3', 1)", "('none', 0), ('none', 1)", 1)
    with pytest.raises(ArchitectureError, match="node 2 of the reduce cell has none on both inputs"):
        from_darts(Darts().parse(empty), FULL)


def test_what_is_no_genotype_is_refused_with_the_reason():
    arch = from_darts(Darts().parse(DARTS_V2), FULL)
    other = list(cells_of(arch))
    other[3] = other[2]
    with pytest.raises(ArchitectureError, match="cells at normal places differ"):
        to_darts(FULL.from_cells(other))
    with pytest.raises(ArchitectureError, match="_3x3' is none of sep_conv_3x3, skip_connect"):
        from_darts(Darts().parse(DARTS_V2), SMALL)
    with pytest.raises(ArchitectureError, match="expected one of 'darts'"):
        from_darts(arch, FULL)


def test_drawings_show_every_pair_where_it_is():
    picture = ET.fromstring(SMALL.draw(SMALL.parse(TEXT)))
    svg = "{http://www.w3.org/2000/svg}"
    first, *_ = picture.findall(f"{svg}g")
    meanings = [group.findtext(f"{svg}title") for group in first]
    assert "0 → 2: sep_conv_3x3" in meanings
    assert "1 → 3: absent" in meanings
    assert picture.findtext(f"{svg}title") == TEXT
    captions = [text.text for text in picture.iter(f"{svg}text") if (text.text or "").startswith("cell")]
    assert captions == ["cell 0", "cell 1 (reduction)", "cell 2 (reduction)"]
