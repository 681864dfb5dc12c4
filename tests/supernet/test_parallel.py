"""K instances in one are K stand-alone modules, before and after some have died."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from crlso.exceptions import UnknownNameError
from crlso.networks.operations import build_operation
from crlso.supernet import parallel
from crlso.supernet.parallel import OPERATIONS, build_candidate, build_parallel

READ = (0, 1, 0, 1, 2)
EVERY = pytest.mark.parametrize(
    ("name", "stride", "size"),
    [(name, stride, size) for name in OPERATIONS for stride in (1, 2) for size in ((8, 6), (5, 7))],
)


def build(name, stride, channels=6):
    """Instances with random running statistics, and equal stand-alone modules."""
    torch.manual_seed(0)
    operation = build_parallel(name, channels, stride, READ)
    for buffer in operation.buffers():
        buffer.uniform_(0.5, 2)
    alone = [build_candidate(name, channels, stride) for _ in READ]
    for row, module in enumerate(alone):
        operation.export_to(row, module)
    return operation, alone


def images(size, channels=6):
    return [torch.randn(4, channels, *size).requires_grad_() for _ in range(3)]


@EVERY
@pytest.mark.parametrize("training", [True, False])
def test_instances_are_stand_alone_modules_gradients_included(name, stride, size, training):
    operation, alone = build(name, stride)
    operation.train(training)
    sources = images(size)
    outputs = []
    for compute in (
        lambda: operation(sources),
        lambda: torch.stack([m.train(training)(sources[s]) for m, s in zip(alone, READ, strict=True)], dim=1),
    ):
        for x in sources:
            x.grad = None
        y = compute()
        y.backward(torch.ones_like(y).cumsum(dim=-1).sin())
        outputs.append((y.detach(), *(x.grad for x in sources)))
    for found, expected in zip(*outputs, strict=True):
        assert_close(found, expected, atol=2e-5, rtol=1e-5)
    for stacked, *convolutions in zip(operation.filters(), *(convolutions_of(m) for m in alone), strict=True):
        expected = torch.stack([convolution.weight.grad.view(stacked.shape[1:]) for convolution in convolutions])
        assert_close(stacked.grad, expected, atol=1e-3 if training else 2e-5, rtol=1e-4)


def convolutions_of(module):
    return [child for child in module.modules() if isinstance(child, nn.Conv2d)]


@EVERY
def test_running_statistics_follow_the_stand_alone_ones(name, stride, size):
    operation, alone = build(name, stride)
    with torch.no_grad():
        for _ in range(2):
            sources = images(size)
            operation(sources)
            for module, source in zip(alone, READ, strict=True):
                module(sources[source])
    fresh = [build_candidate(name, 6, stride) for _ in READ]
    for row, (module, other) in enumerate(zip(alone, fresh, strict=True)):
        operation.export_to(row, other)
        for (key, buffer), found in zip(module.named_buffers(), other.buffers(), strict=True):
            if "tracked" not in key:
                assert_close(found, buffer, atol=1e-5, rtol=1e-5)


@EVERY
def test_survivors_compute_what_they_did(name, stride, size):
    operation, _ = build(name, stride)
    sources, rows = images(size), [1, 3, 4]
    before = operation.eval()(sources)
    size_before = sum(p.numel() for p in operation.parameters())
    changes = operation.keep(rows)
    assert operation.sources == (1, 1, 2)
    assert_close(operation(sources), before[:, rows])
    assert sum(p.numel() for p in operation.parameters()) * len(READ) == size_before * len(rows)
    assert [change.after for change in changes] == list(operation.parameters())
    assert all(torch.equal(change.before[rows], change.after) for change in changes)


@EVERY
def test_stacked_convolutions_are_single_ones(name, stride, size, monkeypatch):
    """What accelerators do, on a CPU."""
    operation, _ = build(name, stride)
    sources = images(size)
    results = []
    for stacked in (False, True):
        monkeypatch.setattr(parallel, "stacks", lambda _, stacked=stacked: stacked)
        y = operation.eval()(sources)
        results.append([y.detach(), *torch.autograd.grad(y.sin().sum(), [*sources, *operation.parameters()])])
    for found, expected in zip(*results, strict=True):
        assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", OPERATIONS)
def test_loading_undoes_exporting(name):
    operation, alone = build(name, 1)
    other = build_parallel(name, 6, 1, READ)
    for row, module in enumerate(alone):
        other.load_from(row, module)
    sources = images((6, 6))
    assert_close(other.eval()(sources), operation.eval()(sources))


@pytest.mark.parametrize("name", OPERATIONS)
def test_exporting_to_an_affine_module_makes_it_plain(name):
    operation, _ = build(name, 1)
    module = build_operation(name, 6)
    for parameter in module.parameters():
        nn.init.constant_(parameter, 7.0)
    operation.export_to(2, module)
    if "pool" not in name:
        x = images((6, 6))[0]
        assert_close(module.eval()(x), operation.eval()([x, x, x])[:, 2], atol=1e-5, rtol=1e-5)


def test_pools_look_at_a_source_once():
    operation, _ = build("max_pool_3x3", 1)
    calls = []
    operation.pool.register_forward_hook(lambda *_: calls.append(1))
    operation(images((4, 4)))
    assert len(calls) == len(set(READ))


def test_a_name_that_no_supernet_mixes_is_refused():
    with pytest.raises(UnknownNameError, match="sep_conv_3x3"):
        build_parallel("none", 4, 1, [0])
