"""The seven blocks of Accel-NASBench: notation, size, and which blocks may have a fourth layer."""

import numpy as np
import pytest

from crlso.exceptions import ArchitectureError
from crlso.spaces.mobile import BLOCKS, Mobile
from crlso.testing import check_space

SPACE = Mobile()
TEXT = "e6k3l1s0|e4k5l2s0|e6k3l3s0|e6k5l3s1|e6k5l2s0|e1k3l4s0|e1k3l2s0"


def test_size_is_that_of_the_benchmark():
    assert SPACE.size == (3 * 2 * 3 * 2) ** 6 * (3 * 2 * 4 * 2)
    assert not SPACE.enumerable


def test_the_laws_of_spaces():
    check_space(SPACE, np.random.default_rng(0), n=50)


def test_a_node_for_each_decision_and_a_type_for_each_option():
    arch = SPACE.parse(TEXT)
    assert arch.graph.num_nodes == 1 + BLOCKS * (4 + 1)
    kinds = [SPACE.schema.node_types[code] for code in arch.graph.node_types[1:5]]
    assert kinds == ["expansion=e6", "kernel=k3", "layers=l1", "squeeze=s0"]
    assert len(SPACE.schema.node_types) == 3 + 3 + 2 + 4 + 2


def test_choices_are_the_letters_of_the_notation():
    assert [SPACE.options[d][c] for d, c in enumerate(SPACE.choices(SPACE.parse(TEXT)))][:8] == [
        *("e6", "k3", "l1", "s0"),
        *("e4", "k5", "l2", "s0"),
    ]


@pytest.mark.parametrize("block", range(BLOCKS))
def test_only_the_sixth_block_may_have_four_layers(block):
    text = "|".join("e1k3l4s0" if b == block else "e1k3l1s0" for b in range(BLOCKS))
    if block == 5:
        assert SPACE.parse(text).text == text
    else:
        with pytest.raises(ArchitectureError, match=f"decision {4 * block + 2} is 'l4', none of l1, l2, l3"):
            SPACE.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        TEXT.rpartition("|")[0],
        TEXT + "|e1k3l1s0",
        TEXT.replace("e6k3l1s0", "k3e6l1s0"),
        TEXT.replace("e6k3l1s0", "e6k3l1"),
        TEXT.replace("e6k3l1s0", "e3k3l1s0"),
        TEXT.replace("e6k3l1s0", "e6k3l1s٠"),
        TEXT.replace("|", "||", 1),
        TEXT.replace("|", " | "),
    ],
)
def test_what_is_no_chain_is_refused_with_an_example(text):
    with pytest.raises(ArchitectureError, match=r"such as e1k3l1s0\|e1k3l1s0"):
        SPACE.parse(text)
