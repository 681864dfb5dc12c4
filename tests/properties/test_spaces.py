"""Properties of all spaces under arbitrary input."""

from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crlso.exceptions import ArchitectureError
from crlso.spaces import get_space, space_names
from crlso.spaces.darts_flexible import FAMILIES

NAMES = [*sorted({*space_names()} - {*FAMILIES}), "darts-flexible-dnad@3"]  # flexible spaces differ in size alone
MANY = 40  # neighbours: of more, a share is looked at

pytestmark = pytest.mark.parametrize("name", NAMES)
seeds = st.integers(0, 2**32 - 1)


@given(text=st.text())
@example(text="|" * 10_000)
@example(text="|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
def test_any_text_is_an_architecture_or_refused(name, text):
    space = get_space(name)
    try:
        arch = space.parse(text)
    except ArchitectureError:
        return
    assert space.parse(arch.text).text == arch.text


@given(seed=seeds, position=st.integers(0), replacement=st.characters())
def test_a_changed_letter_is_refused_or_gives_another_text(name, seed, position, replacement):
    space = get_space(name)
    (arch,) = space.sample(1, np.random.default_rng(seed))
    position %= len(arch.text)
    changed = arch.text[:position] + replacement + arch.text[position + 1 :]
    try:
        parsed = space.parse(changed)
    except ArchitectureError:
        return
    assert parsed.text == changed


@given(data=st.data())
def test_any_logits_decode_to_an_architecture(name, data):
    space = get_space(name)
    n, types, kinds = space.schema.num_nodes, len(space.schema.node_types), len(space.schema.edge_types)
    numbers = st.floats(allow_nan=False, width=32)
    nodes = data.draw(arrays(np.float32, (2, n, types), elements=numbers))
    edges = data.draw(arrays(np.float32, (2, n, n, kinds), elements=numbers))
    for arch in space.decode(nodes, edges):
        assert space.parse(arch.text).text == arch.text


@given(seed=seeds, scale=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3))
def test_decoding_ignores_scale_and_shift_of_the_logits(name, seed, scale, shift):
    space = get_space(name)
    n, types, kinds = space.schema.num_nodes, len(space.schema.node_types), len(space.schema.edge_types)
    rng = np.random.default_rng(seed)
    nodes, edges = rng.normal(size=(3, n, types)), rng.normal(size=(3, n, n, kinds))
    texts = [arch.text for arch in space.decode(nodes, edges)]
    assert [arch.text for arch in space.decode(scale * nodes + shift, scale * edges + shift)] == texts


@given(seed=seeds)
def test_twins_are_equal_hash_alike_and_share_their_representative(name, seed):
    space = get_space(name)
    (arch,) = space.sample(1, np.random.default_rng(seed))
    best = space.canonical(arch)
    assert best == arch
    assert hash(best) == hash(arch)
    neighbours = space.neighbours(arch)
    for neighbour in neighbours[:: -(-len(neighbours) // MANY)]:
        same = neighbour == arch
        assert same == (space.canonical(neighbour).text == best.text)


@given(seed=seeds)
def test_drawings_are_xml_that_names_the_architecture(name, seed):
    space = get_space(name)
    (arch,) = space.sample(1, np.random.default_rng(seed))
    assert ET.fromstring(space.draw(arch)).findtext("{http://www.w3.org/2000/svg}title") == arch.text
