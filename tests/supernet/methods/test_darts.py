"""DARTS: both orders of the gradient of α against their definitions, and what it leaves as it was."""

from copy import deepcopy
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from crlso.spaces.darts_flexible import cells_of
from crlso.supernet.distributed import World
from crlso.supernet.methods import darts
from crlso.supernet.methods.base import backward
from crlso.supernet.methods.darts import DartsSettings


@pytest.fixture(scope="module")
def halves(batch):
    """A batch to learn weights from and one to learn α from."""
    x, y = batch
    return (x[:7], y[:7]), (x[7:], y[7:])


def loss(method, supernet, w, alpha, batch):
    """L(w, α) in plain words, in the precision of the weights."""
    x, y = batch
    mixed = alpha.softmax(dim=-1)[..., :-1].flatten(1)[method.kinds]
    weights = dict(zip((name for name, _ in supernet.named_parameters()), w, strict=True))
    logits = torch.func.functional_call(supernet, weights, (x.to(w[0]), mixed.unbind()))
    return F.cross_entropy(logits, y)


def scattered(method, seed=0):
    """Architecture parameters apart from each other."""
    generator = torch.Generator().manual_seed(seed)
    method.edges.to(next(method.supernet.parameters()).dtype)
    with torch.no_grad():
        method.edges.alpha.normal_(generator=generator)
    return method


def test_the_first_order_is_the_gradient_of_the_validation_loss(begin, halves):
    method = scattered(begin(DartsSettings()))
    before = [p.detach().clone() for p in method.supernet.parameters()]
    alpha = method.edges.alpha.detach().clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(method, deepcopy(method.supernet), before, alpha, halves[1]), alpha)
    method.step(halves, World(), 1)
    torch.testing.assert_close(method.edges.alpha.grad, expected, rtol=1e-4, atol=1e-6)


def test_weights_step_on_the_first_half_after_alpha_stepped(begin, halves):
    method = scattered(begin(DartsSettings()))
    before = [p.detach().clone().requires_grad_() for p in method.supernet.parameters()]
    supernet = deepcopy(method.supernet)
    value = method.step(halves, World(), 1)
    expected = loss(method, supernet, before, method.edges.alpha.detach(), halves[0])
    torch.testing.assert_close(value, expected.detach())
    gradients = torch.autograd.grad(expected, before)
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    for parameter, gradient in zip(method.supernet.parameters(), gradients, strict=True):
        wanted = gradient * min(1.0, 5 / float(norm))
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-3, atol=1e-5)


def unrolled(method, halves):
    """The gradient of the second order, and the weights at which the gradient of α was asked for."""
    asked = []

    def gradients(parameters, pieces):
        if len(parameters) == 1:
            asked.append([p.detach().clone() for p in method.supernet.parameters()])
        backward(parameters, pieces, method.loss, World())
        return [p.grad for p in parameters]

    return method._unrolled(list(method.supernet.parameters()), [halves[0]], [halves[1]], gradients), asked


@pytest.mark.parametrize("moving", [False, True])
def test_the_second_order_is_the_gradient_through_a_step_of_the_weights(begin, halves, moving, monkeypatch):
    """Slopes of α ↦ L_val(w - ξ (∇_w L_train(w, α) + decay and momentum), α), in double precision.

    Equation (2) is exact where its step crosses no kink of a ReLU, so the step is as small as double allows.
    """
    monkeypatch.setattr(darts, "_STEP", 1e-8)
    monkeypatch.setattr(darts, "cross_entropy", F.cross_entropy)  # the own one computes in single precision
    method = scattered(begin(DartsSettings(order=2, learning_rate=0.2, weight_decay=0.01), dtype=torch.float64))
    halves = [(x.double(), y) for x, y in halves]
    generator = torch.Generator().manual_seed(0)
    optimizer, w = method.optimizers["weights"], list(method.supernet.parameters())
    momenta = [0.1 * torch.randn(p.shape, generator=generator, dtype=p.dtype) if moving else 0 * p for p in w]
    if moving:
        for p, momentum in zip(w, momenta, strict=True):
            optimizer.state[p]["momentum_buffer"] = momentum.clone()

    def composite(alpha):
        inner = [p.detach().clone().requires_grad_() for p in w]
        gradients = torch.autograd.grad(loss(method, method.supernet, inner, alpha, halves[0]), inner)
        moved = [
            (own - 0.2 * (g + 0.01 * own + 0.9 * momentum)).detach()
            for own, g, momentum in zip(inner, gradients, momenta, strict=True)
        ]
        return float(loss(method, method.supernet, moved, alpha, halves[1]))

    found, _ = unrolled(method, halves)
    alpha, step = method.edges.alpha.detach().clone(), 1e-6
    for u in (found, torch.randn(alpha.shape, generator=generator, dtype=alpha.dtype)):
        u = u / u.norm()
        slope = (composite(alpha + step * u) - composite(alpha - step * u)) / (2 * step)
        assert float((found * u).sum()) == pytest.approx(slope, rel=1e-3, abs=1e-6)
    alpha.requires_grad_()
    (first,) = torch.autograd.grad(loss(method, method.supernet, w, alpha, halves[1]), alpha)
    assert (found - first).norm() > 0.1 * found.norm(), "or the first order would pass as well"


def test_the_hessian_is_felt_at_a_hundredth_to_both_sides_and_weights_come_back(begin, halves):
    method = scattered(begin(DartsSettings(order=2)))
    before = [p.detach().clone() for p in method.supernet.parameters()]
    _, (plus, minus) = unrolled(method, halves)
    assert all(torch.equal(p, old) for p, old in zip(method.supernet.parameters(), before, strict=True))
    sides = [torch.cat([(a - b).flatten() for a, b in zip(side, before, strict=True)]) for side in (plus, minus)]
    assert float(sides[0].norm()) == pytest.approx(0.01, rel=1e-3)
    torch.testing.assert_close(sides[0], -sides[1], rtol=0, atol=1e-6)


@pytest.mark.parametrize("order", [1, 2])
def test_running_statistics_see_the_pass_of_the_weights_alone(begin, halves, order):
    method = scattered(begin(DartsSettings(order=order)))
    other = deepcopy(method.supernet)
    method.step(halves, World(), 1)
    with torch.no_grad():
        other(halves[0][0], method.weights().unbind())
    for (name, found), expected in zip(method.supernet.named_buffers(), other.buffers(), strict=True):
        assert torch.equal(found, expected), name
    assert any(buffer.any() for buffer in other.buffers())


def test_weights_are_those_of_the_kind_without_the_share_of_none(begin):
    method = scattered(begin(DartsSettings(), space="darts-flexible-dnad@4"))
    w = method.weights()
    assert torch.equal(w[0], w[3])
    assert torch.equal(w[1], w[2])
    assert not torch.equal(w[0], w[1])
    shares = w.unflatten(1, (14, 3)).sum(dim=2)
    assert (shares < 1).all()
    none = method.edges.alpha.softmax(dim=-1)[..., -1]
    torch.testing.assert_close(shares[:2], 1 - none)


@pytest.mark.parametrize("seed", range(3))
def test_a_node_keeps_its_two_strongest_inputs_and_their_strongest_operations(begin, seed):
    method = scattered(begin(DartsSettings(), space="darts-flexible-dnad@4"), seed)
    with torch.no_grad():
        method.edges.alpha[..., -1] += 1  # none is the strongest of most edges, and never chosen
        strength, best = method.edges.alpha.softmax(dim=-1)[..., :-1].max(dim=-1)
    (arch,) = method.derive()
    cells = cells_of(arch)
    assert cells[0] == cells[3] != cells[1] == cells[2]
    for kind, cell in enumerate(cells[:2]):
        first = 0
        for inputs, node in enumerate(cell, start=2):
            chosen = [source for _, source in node]
            assert len(set(chosen)) == 2
            others = [float(strength[kind, first + j]) for j in range(inputs) if j not in chosen]
            assert min(float(strength[kind, first + j]) for j in chosen) >= max(others, default=0)
            assert all(name == method.supernet.operations[best[kind, first + j]] for name, j in node)
            first += inputs


def test_the_learning_rate_falls_to_a_twenty_fifth_along_a_cosine(begin):
    method = begin(DartsSettings(learning_rate=0.5), epochs=8)
    rates = []
    for number in range(9):
        method.begin_epoch(number)
        rates.append(method.optimizers["weights"].param_groups[0]["lr"])
    assert rates[0] == 0.5
    assert rates[-1] == pytest.approx(0.02)
    torch.testing.assert_close([a + b for a, b in zip(rates, rates[::-1], strict=True)], [0.52] * 9)
    assert all(a > b for a, b in pairwise(rates))
    assert method.optimizers["choice"].param_groups[0]["lr"] == 3e-4
