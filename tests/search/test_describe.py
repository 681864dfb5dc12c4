"""Blocks of features: the same for twins, of the wanted typical distance, remembered by class."""

import numpy as np
import pytest

from crlso.search.describe import Descriptor
from crlso.search.process import typical_distance
from crlso.spaces import get_space

SPREAD = {("edges",): 1.0, ("paths",): 0.5, ("depths",): 2.0, ("decisions",): 1.0, ("costs", "operations"): 1.5}


@pytest.fixture(scope="module")
def describe():
    space = get_space("nasbench201")
    return Descriptor(space, space.sample(400, np.random.default_rng(0)), SPREAD)


def test_blocks_have_the_wanted_distance(describe):
    reference = describe.space.sample(400, np.random.default_rng(0))
    distances = [typical_distance(block) for block in describe(reference)]
    assert distances == pytest.approx([1.0, 0.5, 2.0, 1.5], rel=1e-4)  # no decision of a cell is a number


def test_twins_are_described_alike(describe):
    space = describe.space
    twin, other = (
        space.parse(f"|nor_conv_3x3~0|+|none~0|{op}~1|+|skip_connect~0|none~1|none~2|")
        for op in ("avg_pool_3x3", "nor_conv_1x1")
    )
    fresh = Descriptor(space, space.sample(400, np.random.default_rng(0)), SPREAD)
    assert all((a == b).all() for a, b in zip(describe([twin]), fresh([other]), strict=True))


def test_what_was_described_before_is_described_again(describe):
    some = describe.space.sample(20, np.random.default_rng(3))
    alone, together = describe(some[5:6]), describe(some)
    assert all((a[0] == b[5]).all() for a, b in zip(alone, together, strict=True))


def test_numeric_decisions_are_seen():
    space = get_space("mobile")
    describe = Descriptor(space, space.sample(50, np.random.default_rng(0)), {("decisions",): 1.0})
    (block,) = describe([space.parse("|".join(["e1k3l1s0"] * 7)), space.parse("|".join(["e1k3l2s0"] * 7))])
    assert (block[0] != block[1]).sum() == 7


def test_features_of_one_block_have_equal_shares_in_its_distances():
    space = get_space("mobile")
    sample = space.sample(300, np.random.default_rng(0))
    joined = Descriptor(space, sample, {("decisions", "costs"): 1.0})(sample)[0]
    alone = [Descriptor(space, sample, {(name,): 1.0})(sample)[0] for name in ("decisions", "costs")]
    np.testing.assert_allclose(joined, np.hstack(alone) / np.sqrt(2), rtol=1e-5, atol=1e-6)


def test_sets_that_differ_in_one_operation_are_closer_than_sets_that_differ_in_all():
    space = get_space("darts-flexible-dnad@3")
    describe = Descriptor(space, space.sample(100, np.random.default_rng(0)), {("edges",): 1.0})
    first = [[("dil_conv_5x5", 0)], [("dil_conv_5x5", 1)], [("sep_conv_3x3", 2)]]
    one, two, other = (
        [*first, [(name, 4) for name in names]]  # stays the last node, as it has the largest value
        for names in (("sep_conv_3x3",), ("sep_conv_3x3", "dil_conv_5x5"), ("dil_conv_5x5",))
    )
    last = [space.from_cells([one, one, cell]) for cell in (one, two, other)]
    (block,) = describe(last)
    assert np.linalg.norm(block[0] - block[1]) < np.linalg.norm(block[0] - block[2])


def test_a_large_space_has_columns_for_what_varies_alone():
    space = get_space("darts-flexible-dnad@3")
    archs = space.sample(40, np.random.default_rng(0))
    (block,) = Descriptor(space, archs, {("edges",): 1.0})(archs)
    plain = len(space.schema.edge_types) - len(space.schema.parts)
    assert block.shape == (40, 22 * 5 + 3 * 14 * plain)
