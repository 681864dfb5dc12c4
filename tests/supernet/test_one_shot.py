"""An architecture's network is the supernet with the other weights zero, and its statistics are the images'."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from crlso.exceptions import ProblemError
from crlso.supernet.cell import MixedCell
from crlso.supernet.network import FlexibleSupernet
from crlso.supernet.one_shot import inherit, recalibrate
from crlso.supernet.parallel import ParallelOperation

NAMES = ("max_pool_3x3", "skip_connect", "sep_conv_3x3")
SHAPE = (1, 8, 8)
X = torch.randn(24, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def supernet():
    """With statistics of its own, and a few pairs dead."""
    torch.manual_seed(0)
    network = FlexibleSupernet(NAMES, 4, SHAPE, width=2, cells=3)
    network.kill(1, [0, 7, 20])
    with torch.no_grad():
        network(X, weights(network))
    return network


def weights(network):
    generator = torch.Generator().manual_seed(1)
    return [0.1 + torch.rand(len(network.triples), generator=generator) for _ in network.cells]


def some(network):
    """The last two pairs of each node."""
    return tuple(tuple(node[-2:] for node in cell) for cell in network.kept())


def statistics(network):
    return {name: tensor for name, tensor in network.named_buffers() if tensor.is_floating_point()}


@torch.no_grad()
def test_it_computes_what_the_supernet_does_with_the_other_weights_zero(supernet):
    kept, masked = some(supernet), []
    for cell, w in zip(kept, weights(supernet), strict=True):
        masked.append(w * torch.tensor([(t.operation, t.source) in cell[t.node - 2] for t in supernet.triples]))
    network = inherit(supernet, kept).eval()
    assert network.kept() == kept
    expected = supernet.eval()(X, masked)
    assert not torch.allclose(expected, supernet(X, weights(supernet)), atol=1e-3)
    torch.testing.assert_close(network(X, weights(supernet)), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_the_supernet_stays_as_it_was(supernet):
    alive, before = supernet.alive, deepcopy(supernet.state_dict())
    network = inherit(supernet, some(supernet))
    recalibrate(network, weights(supernet), [X])
    for parameter in network.parameters():
        parameter.zero_()
    assert supernet.alive == alive
    assert supernet.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())


def test_dead_pairs_are_refused(supernet):
    whole = supernet.kept()
    supernet.kill(2, [1])
    with pytest.raises(ProblemError, match=r"cell 2 .* no living .*skip_connect.*: the search deleted it"):
        inherit(supernet, whole)
    with pytest.raises(ProblemError, match="2 cells for a supernet of 3"):
        inherit(supernet, whole[:2])


@torch.no_grad()
def test_statistics_become_the_mean_of_those_of_batches(supernet):
    """Of the stem by hand, of the rest by one network for each batch."""
    w, batches = weights(supernet), X.split(8)
    network, ones = inherit(supernet, some(supernet)), []
    for x in batches:
        one = deepcopy(network)
        recalibrate(one, w, [x])
        ones.append(statistics(one))
    images = [supernet.stem[0](x) for x in batches]
    recalibrate(network, w, iter(batches))
    mean = torch.stack([image.mean(dim=(0, 2, 3)) for image in images]).mean(dim=0)
    variance = torch.stack([image.var(dim=(0, 2, 3)) for image in images]).mean(dim=0)
    torch.testing.assert_close(network.stem[1].running_mean, mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(network.stem[1].running_var, variance, rtol=1e-4, atol=1e-5)
    before = statistics(inherit(supernet, some(supernet)))
    for name, found in statistics(network).items():
        expected = torch.stack([one[name] for one in ones]).mean(dim=0)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        assert not torch.allclose(found, before[name], atol=1e-4), name


@torch.no_grad()
def test_evaluation_then_normalises_as_training_does(supernet):
    """On the one batch that it saw, up to Bessel's correction of the 96 pixels that the last cell sees."""
    w = weights(supernet)
    network = inherit(supernet, some(supernet))
    expected = network(X, w)
    recalibrate(network, w, [X])
    assert not network.training
    torch.testing.assert_close(network(X, w), expected, rtol=0.05, atol=0.02)


@torch.no_grad()
def test_momenta_come_back(supernet):
    parts = [m for m in supernet.modules() if isinstance(m, MixedCell | ParallelOperation | nn.BatchNorm2d)]
    for number, part in enumerate(parts):
        part.momentum = 0.1 + 0.001 * number
    recalibrate(supernet, weights(supernet), X.split(8))
    assert [part.momentum for part in parts] == [0.1 + 0.001 * number for number in range(len(parts))]
