"""The cells of NAS-Bench-101: notation, classes, the graphs that stand for them, and the most likely cell."""

import json
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlso.architecture import Graph
from crlso.exceptions import ArchitectureError, ProblemError
from crlso.graphs import Forest
from crlso.spaces.nasbench101 import MOST_EDGES, OPERATIONS, NasBench101, cell_of, live_vertices

SPACE = NasBench101()
CONV3, CONV1, POOL = OPERATIONS
seeds = st.integers(0, 2**32 - 1)


def text_of(edges, *operations):
    size = len(operations) + 2
    matrix = np.zeros((size, size), dtype=int)
    for edge in edges:
        matrix[edge] = 1
    return json.dumps({"matrix": matrix.tolist(), "ops": ["input", *operations, "output"]}, separators=(",", ":"))


def cell(edges, *operations):
    return SPACE.parse(text_of(edges, *operations))


def matrices(size):
    """All strictly upper triangular matrices of a size."""
    pairs = list(combinations(range(size), 2))
    for bits in product((0, 1), repeat=len(pairs)):
        matrix = np.zeros((size, size), dtype=int)
        matrix[tuple(zip(*pairs, strict=True))] = bits
        yield matrix


def live_cells(most_vertices):
    """All cells without dead vertices."""
    for size in range(2, most_vertices + 1):
        for matrix in matrices(size):
            if matrix.sum() <= MOST_EDGES and len(live_vertices(tuple(map(tuple, matrix.tolist())))) == size:
                edges = [tuple(edge) for edge in np.argwhere(matrix)]
                for operations in product(OPERATIONS, repeat=size - 2):
                    yield cell(edges, *operations)


SMALL = list(live_cells(5))
LARGE = SPACE.sample(300, np.random.default_rng(0))
SWAPPED = [  # equal vertices 1 and 2 whose successors are exchanged: the same expressions, yet other cells
    cell([(0, 1), (0, 2), (1, 3), (1, end), (2, 4), (2, 5 if end == 6 else 6), (3, 6), (4, 5), (5, 6)], *ops)
    for ops in product((POOL,), (POOL,), (CONV3,), (POOL,), (CONV1,))
    for end in (5, 6)
]


def relabelled(arch, rng):
    """The same cell with its vertices in another topological order."""
    matrix, ops = (np.array(part) for part in cell_of(arch))
    rest, order = list(range(1, len(ops) - 1)), [0]
    while rest:
        free = [v for v in rest if not matrix[rest, v].any()]
        order.append(free[rng.integers(len(free))])
        rest.remove(order[-1])
    order.append(len(ops) - 1)
    document = {"matrix": matrix[np.ix_(order, order)].tolist(), "ops": ops[order].tolist()}
    return SPACE.parse(json.dumps(document))


def test_benchmarks_number_of_classes():
    assert len({arch.key for arch in SMALL}) == 2_532


def test_size_counts_the_texts():
    """Every matrix of two to seven vertices is tried."""
    texts = 0
    for size in range(2, 8):
        pairs = list(combinations(range(size), 2))
        numbers = np.arange(2 ** len(pairs))
        present = {pair: (numbers >> place & 1).astype(bool) for place, pair in enumerate(pairs)}
        reached = [np.ones(len(numbers), dtype=bool)]
        for target in range(1, size):
            reached.append(np.any([reached[source] & present[source, target] for source in range(target)], axis=0))
        few = np.sum(list(present.values()), axis=0, dtype=np.int8) <= MOST_EDGES
        texts += int((few & reached[-1]).sum()) * len(OPERATIONS) ** (size - 2)
    assert texts == SPACE.size


def test_keys_are_equal_exactly_for_isomorphic_cells():
    """Against the least of all relabellings of the interior vertices."""
    by_key, by_form = {}, {}
    for arch in SMALL:
        matrix, ops = (np.array(part) for part in cell_of(arch))
        last = len(ops) - 1
        orders = [[0, *inner, last] for inner in permutations(range(1, last))]
        form = min((matrix[np.ix_(order, order)].tolist(), ops[order].tolist()) for order in orders)
        assert by_key.setdefault(arch.key, form) == form
        assert by_form.setdefault(str(form), arch.key) == arch.key


@given(seed=seeds)
def test_relabelled_cells_are_twins_with_one_root(seed):
    rng = np.random.default_rng(seed)
    (arch,) = SPACE.sample(1, rng)
    twin = relabelled(arch, rng)
    assert twin == arch
    forest = Forest.of([arch.graph, twin.graph, SPACE.canonical(arch).graph], SPACE.schema)
    assert len(set(forest.roots.tolist())) == 1


def test_roots_are_equal_exactly_for_equal_cells():
    archs = [*SMALL, *LARGE, *SWAPPED]
    roots = Forest.of((arch.graph for arch in archs), SPACE.schema).roots.tolist()
    pairs = {(arch.key, root) for arch, root in zip(archs, roots, strict=True)}
    assert len(pairs) == len(set(roots)) == len({arch.key for arch in archs})


def test_exchanged_successors_of_twins_make_another_cell():
    assert SWAPPED[0] != SWAPPED[1]


def test_canonical_cells_have_no_dead_vertices():
    arch = cell([(0, 1), (1, 4), (0, 2), (3, 4)], CONV3, CONV1, POOL)
    assert SPACE.canonical(arch).text == text_of([(0, 1), (1, 2)], CONV3)
    for other in LARGE:
        matrix, ops = cell_of(SPACE.canonical(other))
        assert live_vertices(matrix) == list(range(len(ops)))


def test_operations_and_edges_tell_cells_apart():
    straight = [(0, 1), (1, 2)]
    cells = [cell(straight, op) for op in OPERATIONS] + [cell([*straight, (0, 2)], CONV3), cell([(0, 1)])]
    assert len(set(cells)) == 5


TEXT = text_of([(0, 1), (1, 2), (0, 2)], CONV3)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[]",
        "null",
        '{"matrix":[[0,1],[0,0]]}',
        TEXT.replace("}", ',"label":1}'),
        TEXT.replace("[0,1,1]", "[0,1]"),
        TEXT.replace("[0,1,1]", "0"),
        TEXT.replace("[0,1,1]", "[0,1,2]"),
        TEXT.replace("[0,1,1]", "[0,1,true]"),
        TEXT.replace("[0,1,1]", "[0,1.0,1]"),
        TEXT.replace("[0,1,1]", "[1,1,1]"),  # a loop
        TEXT.replace("[0,0,0]", "[1,0,0]"),  # a way back
        TEXT.replace(CONV3, "conv5x5"),
        TEXT.replace('"input"', '"output"'),
        TEXT.replace(f'"{CONV3}"', "3"),
        TEXT.replace(f'"{CONV3}"', '["input"]'),
        '{"matrix":[[0]],"ops":["input"]}',
        '{"matrix":[],"ops":[]}',
        text_of([(0, 1)], CONV3),  # does not reach the output
        text_of([(0, 7)], *[CONV3] * 6),  # eight vertices
        text_of([(i, j) for i, j in combinations(range(5), 2)], *[CONV3] * 3),  # ten edges
        '{"matrix":[[0,' + "1" * 5000 + '],[0,0]],"ops":["input","output"]}',
    ],
)
def test_what_is_no_cell_is_refused_with_the_pattern(text):
    with pytest.raises(ArchitectureError, match=r'expected \{"matrix":'):
        SPACE.parse(text)


def test_spaces_between_words_are_no_part_of_the_text():
    assert SPACE.parse(json.dumps(json.loads(TEXT), indent=2)).text == TEXT


def test_graphs_cannot_be_written_to():
    for array in (LARGE[0].graph.node_types, LARGE[0].graph.edge_types):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 1


def test_graph_without_a_path_is_refused():
    with pytest.raises(ArchitectureError, match="lead from input to output"):
        SPACE.from_graph(Graph(LARGE[0].graph.node_types, np.zeros((7, 7), dtype=int)))


def test_too_many_to_walk_through():
    with pytest.raises(ProblemError, match="sample instead"):
        SPACE.enumerate()


def chosen(edges, *operations):
    pairs = list(combinations(range(7), 2))
    return [int(pair in edges) for pair in pairs] + [(("absent", *OPERATIONS)).index(op) for op in operations]


def test_choices_are_edges_and_operations_of_the_padded_cell():
    arch = SPACE.from_choices(chosen([(0, 1), (1, 6)], POOL, "absent", "absent", "absent", "absent"))
    assert arch.text == text_of([(0, 1), (1, 2)], POOL)


@pytest.mark.parametrize(
    "choices",
    [
        chosen([(0, 6)], "absent", CONV3, "absent", "absent", "absent"),  # a gap
        chosen([(0, 6), (0, 1)], *["absent"] * 5),  # an edge to what is absent
        chosen([(0, 1)], *["absent"] * 5),
        chosen([(0, i) for i in range(1, 7)] + [(1, i) for i in range(2, 6)], *OPERATIONS, CONV3, CONV3),
        chosen([(0, 6)], *["absent"] * 4),
        [2, *chosen([(0, 6)], *["absent"] * 5)[1:]],
    ],
)
def test_choices_that_make_no_cell_are_refused(choices):
    with pytest.raises(ArchitectureError, match="NAS-Bench-101 cell"):
        SPACE.from_choices(choices)


def likelihood(arch, nodes, edges):
    """Sum of the logits of what the cell chooses; the mark of an edge is free."""
    kinds, types = arch.graph.node_types, arch.graph.edge_types
    upper = [
        edges[i, j, 1:].max() if types[i, j] else edges[i, j, 0]
        for i, j in combinations(range(SPACE.schema.num_nodes), 2)
    ]
    return nodes[np.arange(7), kinds].sum() + sum(upper)


@settings(max_examples=25)
@given(seed=seeds, shift=st.floats(-2, 2))
def test_decoding_is_exact_where_all_cells_can_be_tried(seed, shift):
    """Logits that leave at most two interior vertices in question, against all 4-vertex cells and smaller ones."""
    rng = np.random.default_rng(seed)
    nodes, edges = rng.normal(size=(7, 6)), rng.normal(size=(7, 7, 5))
    nodes[3:6, 0] += 100
    edges[..., 0] += shift  # few edges or many
    (best,) = SPACE.decode(nodes[None], edges[None])
    rivals = (arch for arch in FOUR if likelihood(arch, nodes, edges) > likelihood(best, nodes, edges) + 1e-9)
    assert next(rivals, None) is None


FOUR = [
    cell([tuple(edge) for edge in np.argwhere(matrix)], *operations)
    for size in (2, 3, 4)
    for matrix in matrices(size)
    if live_vertices(tuple(map(tuple, matrix.tolist())))
    for operations in product(OPERATIONS, repeat=size - 2)
]


@settings(max_examples=25)
@given(seed=seeds, shift=st.floats(-3, 3))
def test_no_neighbour_of_the_decoded_cell_is_likelier(seed, shift):
    rng = np.random.default_rng(seed)
    nodes, edges = rng.normal(size=(7, 6)), rng.normal(size=(7, 7, 5))
    edges[..., 0] += shift
    (best,) = SPACE.decode(nodes[None], edges[None])
    most = likelihood(best, nodes, edges)
    assert all(likelihood(other, nodes, edges) <= most + 1e-9 for other in [*SPACE.neighbours(best), *LARGE])


def test_decoding_cuts_to_nine_edges_and_keeps_the_path():
    nodes, edges = np.zeros((1, 7, 6)), np.zeros((1, 7, 7, 5))
    nodes[:, :, 2] = 1
    edges[..., 1] = 1
    edges[0, :, 6, 1] = 0.5  # the ways out are the least likely edges, and one is needed
    (best,) = SPACE.decode(nodes, edges)
    matrix, ops = cell_of(best)
    assert (len(ops), np.sum(matrix)) == (7, MOST_EDGES)
    assert live_vertices(matrix)


def test_sampling_is_uniform():
    """Mirroring a cell maps texts to texts, and operations are exchangeable: their shares agree within the noise."""
    archs = SPACE.sample(4000, np.random.default_rng(1))
    choices = np.array([SPACE.choices(arch) for arch in archs if len(cell_of(arch)[1]) == 7])
    pairs = list(combinations(range(7), 2))
    mirrored = [pairs.index((6 - j, 6 - i)) for i, j in pairs]
    present = choices[:, :21].mean(axis=0)
    assert np.abs(present - present[mirrored]).max() < 5 * np.sqrt(0.5 / len(choices))
    shares = np.stack([(choices[:, 21:] == 1 + n).mean(axis=0) for n in range(3)])
    assert np.abs(shares - 1 / 3).max() < 5 * np.sqrt(2 / 9 / len(choices))


def test_neighbours_change_an_edge_an_operation_or_a_vertex():
    smallest = cell([(0, 1)])
    grown = {text_of([(0, 1), (1, 2), (0, 2)], op) for op in OPERATIONS}
    assert {arch.text for arch in SPACE.neighbours(smallest)} == grown
    texts = {arch.text for arch in SPACE.neighbours(cell([(0, 1), (1, 2), (0, 2)], CONV3))}
    assert smallest.text in texts
    assert text_of([(0, 1), (1, 2), (0, 2)], POOL) in texts
    assert text_of([(0, 1), (1, 2)], CONV3) in texts
    assert text_of([(0, 2), (2, 3), (0, 3), (0, 1), (1, 2)], CONV1, CONV3) in texts


def test_absent_vertices_are_not_drawn():
    drawing = SPACE.draw(cell([(0, 1), (1, 2)], CONV3))
    assert "1: conv3x3-bn-relu" in drawing
    assert "absent" not in drawing
