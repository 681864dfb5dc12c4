"""Genotypes: both printed forms, the count, the classes and the functions that the classes stand for."""

from collections import Counter
from itertools import combinations
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlso.exceptions import ArchitectureError, ProblemError
from crlso.graphs import Forest
from crlso.spaces.darts import NODES, OPERATIONS, Darts, cells_of

SPACE = Darts()
PRIME = 2**61 - 1
FEW = ("none", "skip_connect", "sep_conv_3x3")
CONCAT = "range(2, 6)"
FLAT = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], "
    "normal_concat=[2, 3, 4, 5], reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), "
    "('max_pool_3x3', 1), ('max_pool_3x3', 0), ('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], "
    "reduce_concat=[2, 3, 4, 5])"
)
NESTED = (
    "Genotype(normal=[[('sep_conv_3x3', 1), ('sep_conv_3x3', 0)], [('sep_conv_3x3', 0), ('sep_conv_3x3', 1)], "
    "[('sep_conv_3x3', 1), ('skip_connect', 0)], [('skip_connect', 0), ('dil_conv_3x3', 2)]], "
    f"normal_concat={CONCAT}, reduce=[[('max_pool_3x3', 0), ('max_pool_3x3', 1)], [('skip_connect', 2), "
    "('max_pool_3x3', 1)], [('max_pool_3x3', 0), ('skip_connect', 2)], [('skip_connect', 2), ('max_pool_3x3', 1)]], "
    f"reduce_concat={CONCAT})"
)


def written(normal, reduce):
    """A genotype from the (operation, input) of two cells."""
    return SPACE.parse(f"Genotype(normal={normal}, normal_concat={CONCAT}, reduce={reduce}, reduce_concat={CONCAT})")


def filled(*pairs):
    """A cell that begins with the pairs given, as (operation, input); the rest brings nothing."""
    return [*pairs, *[("none", 0), ("none", 1)] * (NODES - len(pairs) // 2)]


def draws(n, seed, operations=OPERATIONS, *, blank=False):
    """Genotypes with some of the operations only, the second cell left blank or not: the fewer, the more twins."""
    rng = np.random.default_rng(seed)
    rows = []
    for _ in range(n):
        row = [
            int(rng.choice([names.index(o) for o in operations if o in names] or len(names))) for names in SPACE.options
        ]
        rows.append(row[:12] + [0] * 12 if blank else row)
    return [SPACE.from_choices(row) for row in rows]


def relabelled(cell, rng):
    """The cell with its nodes in another random topological order."""
    placed, order = {0: 0, 1: 1}, []
    while len(order) < NODES:
        ready = [n for n in range(2, 6) if n not in placed and all(i in placed for _, i in cell[n - 2])]
        order.append(int(rng.choice(ready)))
        placed[order[-1]] = len(placed)
    return [(OPERATIONS[o], placed[i]) for node in order for o, i in cell[node - 2]]


def evaluate(arch, seed):
    """What the nodes compute, operations read as random cubics without constant term modulo a prime; as multisets."""
    rng = np.random.default_rng(seed)
    cubics = {name: rng.integers(1, PRIME, size=3).tolist() for name in (*OPERATIONS, "reduction")}
    inputs = rng.integers(1, PRIME, size=2).tolist()

    def apply(name, x):
        a, b, c = cubics[name]
        return 0 if name == "none" else x if name == "skip_connect" else x * (a + x * (b + x * c)) % PRIME

    results = []
    for is_reduction, cell in enumerate(cells_of(arch)):
        values = list(inputs)
        for node in cell:
            names = [(OPERATIONS[o], i) for o, i in node]
            if is_reduction:
                names = [("reduction" if name == "skip_connect" and i < 2 else name, i) for name, i in names]
            values.append(sum(apply(name, values[i]) for name, i in names) % PRIME)
        results.append(tuple(sorted(values[2:])))
    return tuple(results)


def test_size_is_the_number_of_choices():
    assert np.prod([len(names) for names in SPACE.options], dtype=object) == SPACE.size == 9_119_789_245_425_254_400
    with pytest.raises(ProblemError, match="sample instead"):
        SPACE.enumerate()


def test_both_printed_forms_are_one_genotype():
    flat, nested = SPACE.parse(FLAT), SPACE.parse(f" {NESTED}\n")
    assert flat.text == nested.text == SPACE.parse(flat.text).text
    assert flat.text.startswith("Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ")
    assert "('skip_connect', 0), ('sep_conv_3x3', 1)" in flat.text  # pairs are in the order of their inputs
    assert flat.text.endswith(f"reduce_concat={CONCAT})")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Genotype()",
        FLAT.replace("Genotype", "genotype"),
        FLAT.replace("Genotype", "print"),
        FLAT.replace("Genotype(", "Genotype(1, "),
        FLAT.replace("normal=", "reduce=", 1),
        FLAT.replace("normal_concat=[2, 3, 4, 5]", "normal_concat=[3, 4, 5]"),
        FLAT.replace("normal_concat=[2, 3, 4, 5], ", ""),
        FLAT.replace("normal_concat=[2, 3, 4, 5]", "normal_concat=exit()"),
        FLAT.replace("sep_conv_3x3", "sep_conv_7x7", 1),
        FLAT.replace("'sep_conv_3x3', 0", "'sep_conv_3x3', 1", 1),  # one input twice
        FLAT.replace("'sep_conv_3x3', 0", "'sep_conv_3x3', 2", 1),  # a node reads itself
        FLAT.replace("'sep_conv_3x3', 0", "'sep_conv_3x3', -1", 1),
        FLAT.replace("'sep_conv_3x3', 0", "'sep_conv_3x3', False", 1),
        FLAT.replace("'sep_conv_3x3', 0", "'sep_conv_3x3', 0.0", 1),
        FLAT.replace("'sep_conv_3x3', 0", "'sep_conv_3x3'", 1),
        FLAT.replace("('sep_conv_3x3', 0), ", "", 1),
        FLAT.replace("('sep_conv_3x3', 0)", "__import__('os')", 1),
        FLAT.replace("('sep_conv_3x3', 0)", "3", 1),
        NESTED.replace("], [", ", ", 1),
        NESTED.replace("[[", "[[[", 1).replace("]]", "]]]", 1),
        f"{FLAT} + {FLAT}",
        "(" * 3000,
        "Genotype(" + "-" * 3000 + "1)",
        "Genotype" + "(" * 1500 + ")" * 1500,
        FLAT + " " * 4000 + "#",
    ],
)
def test_what_is_no_genotype_is_refused_with_the_pattern(text):
    with pytest.raises(ArchitectureError, match=r"expected Genotype\(normal=\[\('op', input\)"):
        SPACE.parse(text)


@pytest.mark.parametrize("operations", [OPERATIONS, FEW, (*FEW, "max_pool_3x3")])
@pytest.mark.parametrize("blank", [False, True])
def test_keys_are_equal_exactly_where_functions_are(operations, blank):
    """Schwartz-Zippel, on draws and their twins; with few operations there are many twins."""
    rng = np.random.default_rng(0)
    archs = draws(300, 1, operations, blank=blank)
    archs += [written(*(relabelled(cell, rng) for cell in cells_of(arch))) for arch in archs]
    archs += [SPACE.canonical(arch) for arch in archs]
    by_key, by_value = {}, {}
    for arch in archs:
        value = evaluate(arch, seed=2)
        assert by_key.setdefault(arch.key, value) == value, f"{arch} computes something else than its twins"
        assert by_value.setdefault(value, arch.key) == arch.key, f"{arch} has a twin of another key"
    forest = Forest.of((arch.graph for arch in archs), SPACE.schema)
    assert len(set(zip(forest.roots.tolist(), (arch.key for arch in archs), strict=True))) == len(by_key)
    assert len(set(forest.roots.tolist())) == len(by_key)


@given(seed=st.integers(0, 2**32 - 1))
def test_relabelled_nodes_have_one_representative(seed):
    rng = np.random.default_rng(seed)
    (arch,) = SPACE.sample(1, rng)
    twin = written(*(relabelled(cell, rng) for cell in cells_of(arch)))
    assert SPACE.canonical(twin).text == SPACE.canonical(arch).text


def test_no_twin_is_lighter_than_the_representative():
    def weight(arch):
        return sum(operation > 1 for cell in cells_of(arch) for node in cell for operation, _ in node)

    archs = draws(1000, 0, FEW, blank=True)
    assert len({arch.key for arch in archs}) < len({arch.text for arch in archs}) - 100
    assert all(weight(SPACE.canonical(arch)) <= weight(arch) for arch in archs)


def test_a_skip_from_an_input_is_an_identity_in_the_normal_cell_only():
    direct = filled(("skip_connect", 0), ("none", 1), ("sep_conv_3x3", 0), ("none", 1))
    through = filled(("skip_connect", 0), ("none", 1), ("none", 0), ("sep_conv_3x3", 2))
    still = filled()
    assert written(direct, still) == written(through, still)
    assert written(still, direct) != written(still, through)


def test_skips_between_intermediate_nodes_are_identities_in_both():
    once = filled(("sep_conv_3x3", 0), ("none", 1), ("dil_conv_3x3", 2), ("none", 1), ("none", 0), ("skip_connect", 2))
    twice = filled(("sep_conv_3x3", 0), ("none", 1), ("none", 0), ("skip_connect", 2), ("dil_conv_3x3", 3), ("none", 1))
    assert written(once, filled()) == written(twice, filled())
    assert written(filled(), once) == written(filled(), twice)


def test_operations_on_nothing_leave_the_representative():
    arch = written(filled(("none", 0), ("none", 1), ("sep_conv_5x5", 2), ("max_pool_3x3", 0)), filled())
    assert "sep_conv" not in SPACE.canonical(arch).text
    assert "max_pool" in SPACE.canonical(arch).text


def test_decoding_takes_the_most_likely_genotype():
    """No other genotype has a larger sum of logits, the absent edges' included."""
    rng = np.random.default_rng(0)
    size, kinds = SPACE.schema.num_nodes, len(SPACE.schema.edge_types)
    edges = rng.normal(size=(1, size, size, kinds))
    (best,) = SPACE.decode(np.zeros((1, size, len(SPACE.schema.node_types))), edges)
    upper = np.triu_indices(size, 1)

    def total(arch):
        return edges[0][(*upper, arch.graph.edge_types[upper])].sum()

    rivals = [*SPACE.neighbours(best), *SPACE.sample(200, rng)]
    assert all(total(rival) <= total(best) for rival in rivals)


def test_neighbours_change_one_operation_or_one_input():
    (arch,) = SPACE.sample(1, np.random.default_rng(0))
    changes = Counter()
    for other in SPACE.neighbours(arch):
        differing = [
            (set(node), set(twin))
            for cell, other_cell in zip(cells_of(arch), cells_of(other), strict=True)
            for node, twin in zip(cell, other_cell, strict=True)
            if node != twin
        ]
        ((node, twin),) = differing
        ((operation, source),) = node - twin
        ((new_operation, new_source),) = twin - node
        assert (operation == new_operation) != (source == new_source)
        changes["operation" if source == new_source else "input"] += 1
    assert changes == {"operation": 16 * 7, "input": 2 * 2 * (0 + 1 + 2 + 3)}


def test_sampling_is_uniform():
    """Operations and pairs of inputs come up alike, within five standard deviations."""
    n = 3000
    rows = np.array([SPACE.choices(arch) for arch in SPACE.sample(n, np.random.default_rng(0))])
    for column, names in zip(rows.T, SPACE.options, strict=True):
        p = 1 / len(names)
        shares = np.bincount(column, minlength=len(names)) / n
        assert np.abs(shares - p).max() <= 5 * np.sqrt(p * (1 - p) / n)


def test_options_name_the_inputs_that_a_node_can_have():
    first, last = SPACE.options[0], SPACE.options[3 * (NODES - 1)]
    assert first == ("0,1",)
    assert last == tuple(f"{i},{j}" for i, j in combinations(range(5), 2))


@pytest.mark.parametrize("choices", [(0,) * 23, (0,) * 25, (1, *[0] * 23), (0, 8, *[0] * 22), (0, -1, *[0] * 22)])
def test_choices_without_an_option_are_refused(choices):
    with pytest.raises(ArchitectureError, match="within options"):
        SPACE.from_choices(choices)


def test_drawings_show_both_cells_and_pale_what_brings_nothing():
    root = ET.fromstring(SPACE.draw(written(filled(("max_pool_3x3", 0), ("none", 1)), filled())))
    svg = "{http://www.w3.org/2000/svg}"
    titles = [cell.findtext(f"{svg}title") for cell in root.findall(f"{svg}svg")]
    assert titles == ["normal", "reduce"]
    pale, clear = root.find(f"{svg}svg").findall(f"{svg}g")
    assert "1 → 2: none" in [group.findtext(f"{svg}title") for group in pale]
    assert "0 → 2: max_pool_3x3" in [group.findtext(f"{svg}title") for group in clear]
