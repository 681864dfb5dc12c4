"""The dispatch over spaces, and what it refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from crlso.exceptions import ProblemError, UnknownNameError
from crlso.networks import build, costs
from crlso.spaces import get_space

(ARCH,) = get_space("nasbench201").sample(1, np.random.default_rng(0))


@pytest.mark.parametrize("function", [build, costs])
def test_unknown_space_lists_the_known_ones(function):
    with pytest.raises(UnknownNameError, match=r"'martian'.*nasbench201"):
        function(replace(ARCH, space="martian"), 10, (3, 32, 32))


@pytest.mark.parametrize("function", [build, costs])
@pytest.mark.parametrize(
    ("num_classes", "input_shape", "complaint"),
    [
        (0, (3, 32, 32), "num_classes is 0"),
        (10, (0, 32, 32), r"expected \(channels, height, width\)"),
        (10, (3, 32, -1), r"expected \(channels, height, width\)"),
    ],
)
def test_impossible_shapes_are_refused_with_the_remedy(function, num_classes, input_shape, complaint):
    with pytest.raises(ProblemError, match=complaint):
        function(ARCH, num_classes, input_shape)


def test_builds_what_it_prices():
    network = build(ARCH, 7, (2, 12, 9))
    assert network(torch.randn(3, 2, 12, 9)).shape == (3, 7)
    assert sum(p.numel() for p in network.parameters()) == costs(ARCH, 7, (2, 12, 9)).params


def test_default_costs_are_those_of_cifar10():
    assert costs(ARCH) == costs(ARCH, 10, (3, 32, 32))
