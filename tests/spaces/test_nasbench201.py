"""The 15,625 cells: their notation, their classes and the functions that the classes stand for."""

import numpy as np
import pytest

from crlso.architecture import Graph
from crlso.exceptions import ArchitectureError, ProblemError
from crlso.spaces.nasbench201 import EDGES, OPERATIONS, NasBench201, string_rule_key

SPACE = NasBench201()
CELLS = list(SPACE.enumerate())
PRIME = 2**61 - 1
TEXT = "|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|none~2|"


def evaluate(arch, functions, x):
    """The cell's value at a number, every operation read as a function over the integers modulo a prime."""
    values = [x, 0, 0, 0]
    for source, target in EDGES:
        operation = OPERATIONS[arch.graph.edge_types[source, target]]
        values[target] = (values[target] + functions[operation](values[source])) % PRIME
    return values[-1]


def random_functions(rng):
    """A random cubic without constant term for each operation that computes something: f(0) = 0, f not linear."""

    def cubic():
        a, b, c = (int(n) for n in rng.integers(1, PRIME, size=3))
        return lambda x: x * (a + x * (b + x * c)) % PRIME

    computing = {name: cubic() for name in ("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")}
    return {"none": lambda x: 0, "skip_connect": lambda x: x, **computing}


def test_counts_of_cells_and_classes():
    assert len({arch.text for arch in CELLS}) == len(CELLS) == SPACE.size == 15_625
    assert len({arch.key for arch in CELLS}) == 4_930
    assert len({string_rule_key(arch) for arch in CELLS}) == 6_466


@pytest.mark.parametrize("seed", range(3))
def test_keys_are_equal_exactly_where_functions_are(seed):
    """Schwartz-Zippel: two different polynomials of degree 27 or less meet at a random point once in 10^17."""
    rng = np.random.default_rng(seed)
    functions, x = random_functions(rng), int(rng.integers(1, PRIME))
    by_key, by_value = {}, {}
    for arch in CELLS:
        value = evaluate(arch, functions, x)
        assert by_key.setdefault(arch.key, value) == value, f"{arch.text} computes something else than its twins"
        assert by_value.setdefault(value, arch.key) == arch.key, f"{arch.text} has a twin of another key"


def test_the_papers_rule_splits_classes_but_never_joins_them():
    keys = {}
    for arch in CELLS:
        assert keys.setdefault(string_rule_key(arch), arch.key) == arch.key


def test_representatives_are_one_a_class_and_no_heavier_than_any_twin():
    def weights(arch):
        return arch.text.count("nor_conv_1x1") + 9 * arch.text.count("nor_conv_3x3")

    representatives = {SPACE.canonical(arch).text for arch in CELLS}
    assert len(representatives) == 4_930
    assert all(weights(SPACE.canonical(arch)) <= weights(arch) for arch in CELLS)


def test_dead_operations_leave_the_representative():
    arch = SPACE.parse("|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|skip_connect~0|none~1|none~2|")
    assert SPACE.canonical(arch).text == "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"


def test_sampling_is_uniform():
    """Each of 5 operations on each of 6 edges comes up in a fifth of the draws, within five standard deviations."""
    draws = 3_000
    codes = np.array(
        [arch.graph.edge_types[*zip(*EDGES, strict=True)] for arch in SPACE.sample(draws, np.random.default_rng(0))]
    )
    shares = np.stack([(codes == code).mean(axis=0) for code in range(len(OPERATIONS))])
    assert np.abs(shares - 0.2).max() < 5 * np.sqrt(0.2 * 0.8 / draws)


def test_more_than_the_space_has_is_refused():
    assert len(SPACE.sample(SPACE.size, np.random.default_rng(0))) == SPACE.size
    with pytest.raises(ProblemError, match="15626 distinct cells; nasbench201 has 15625"):
        SPACE.sample(SPACE.size + 1, np.random.default_rng(0))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "|",
        "++",
        TEXT.removeprefix("|"),
        TEXT.removesuffix("|"),
        TEXT + "|",
        TEXT.rpartition("+")[0],  # a node missing
        TEXT + "+|none~0|none~1|none~2|none~3|",
        TEXT.replace("|avg_pool_3x3~1", ""),  # an edge missing
        TEXT.replace("|avg_pool_3x3~1", "|"),
        TEXT.replace("avg_pool_3x3~1", "avg_pool_3x3~2"),
        TEXT.replace("avg_pool_3x3~1", "avg_pool_3x3~-1"),
        TEXT.replace("avg_pool_3x3~1", "avg_pool_3x3~¹"),
        TEXT.replace("avg_pool_3x3~1", "avg_pool_3x3"),
        TEXT.replace("avg_pool_3x3~1", "max_pool_3x3~1"),
        TEXT.replace("avg_pool_3x3~1", "Avg_Pool_3x3~1"),
        TEXT.replace("avg_pool_3x3~1", " avg_pool_3x3~1"),
    ],
)
def test_what_is_no_cell_is_refused_with_the_pattern(text):
    with pytest.raises(ArchitectureError, match=r"\|op~0\|\+\|op~0\|op~1\|\+\|op~0\|op~1\|op~2\|"):
        SPACE.parse(text)


def test_unknown_operation_lists_the_known_ones():
    with pytest.raises(ArchitectureError, match=r"'max_pool_3x3~1'.*none, skip_connect, nor_conv_1x1") as caught:
        SPACE.parse(TEXT.replace("avg_pool_3x3~1", "max_pool_3x3~1"))
    assert "from node 1" in str(caught.value)


def test_surrounding_space_is_no_part_of_the_text():
    assert SPACE.parse(f" {TEXT}\n").text == TEXT


def test_graphs_cannot_be_written_to():
    arch = SPACE.parse(TEXT)
    for array in (arch.graph.node_types, arch.graph.edge_types):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_equality_is_that_of_classes():
    x, twin = (
        SPACE.parse(f"|{op}~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|") for op in ("none", "skip_connect")
    )
    other = SPACE.from_graph(Graph(x.graph.node_types, np.zeros((4, 4), dtype=int)))
    assert x == twin
    assert hash(x) == hash(twin)
    assert x.text != twin.text
    assert x != other
    assert len({x, twin, other}) == 2
