"""The estimate is what torch keeps, grows with the batch by images alone, and shrinks with what dies."""

import torch

from crlso.supernet.memory import memory_estimate
from crlso.supernet.network import FlexibleSupernet

SHAPE = (3, 8, 8)


def build(**options):
    torch.manual_seed(0)
    return FlexibleSupernet(("skip_connect", "sep_conv_3x3", "max_pool_3x3"), 4, SHAPE, width=4, cells=3, **options)


def test_lasting_memory_is_that_of_parameters_gradients_and_moments():
    network = build()
    size = sum(p.nbytes for p in network.parameters())
    one, two, adam = (memory_estimate(network, b, SHAPE, moments=m) for b, m in ((10, 1), (20, 1), (10, 2)))
    assert adam - one == size
    assert two - one == one - 3 * size


def test_the_activations_are_at_least_what_operations_read():
    """Each separable convolution keeps the features of both of its projections, and the image between."""
    network = FlexibleSupernet(("sep_conv_3x3",), 4, SHAPE, width=4, cells=3)
    size = sum(p.nbytes for p in network.parameters())
    first = 14 * 3 * 4 * 8 * 8 * 4
    assert memory_estimate(network, 100, SHAPE) - 3 * size > 100 * first


def test_checkpoints_and_kills_save_memory():
    network = build()
    before = memory_estimate(network, 64, SHAPE)
    assert memory_estimate(build(checkpointed=(0, 1, 2)), 64, SHAPE) < before / 2
    network.kill(0, [number for number, triple in enumerate(network.triples) if triple.operation != "skip_connect"])
    assert memory_estimate(network, 64, SHAPE) < before


def test_the_supernet_is_left_as_it_is():
    network = build().eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    memory_estimate(network, 4, SHAPE)
    assert not network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())
