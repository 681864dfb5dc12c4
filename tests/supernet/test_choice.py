"""Weights are distributions over what lives at each node, and both penalties fall towards one pair a node."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.testing import assert_close

from crlso.supernet.cell import triples
from crlso.supernet.choice import Choice, entropy, sparsity

TRIPLES = triples(("max_pool_3x3", "skip_connect", "sep_conv_3x3"))
CELLS = 2
NODES = torch.tensor([triple.node for triple in TRIPLES])
FORMS = {"relu": 2.0, "softmax": 0.0}
PENALTIES = (sparsity, entropy)
SHAPE = (CELLS, len(TRIPLES))
FIRSTS = torch.tensor([min(n for n, t in enumerate(TRIPLES) if t.node == node) for node in range(2, 6)])
DEAD = arrays(bool, SHAPE).map(torch.from_numpy)
SEEDS = st.integers(0, 2**31)


def numbers(largest):
    values = st.floats(float(np.float32(-largest)), float(np.float32(largest)), width=32)
    return arrays("float32", SHAPE, elements=values).map(torch.from_numpy)


def build(form, alpha=None, dead=None):
    """With the first pair of each node alive and of positive parameter."""
    choice = Choice(TRIPLES, CELLS, form, FORMS[form])
    if alpha is not None:
        alpha = alpha.clone()
        if form == "relu":
            alpha[:, FIRSTS] = alpha[:, FIRSTS].abs().clamp(min=1e-3)
        choice.to(alpha.dtype).alpha.data = alpha
    if dead is not None:
        dead = dead.clone()
        dead[:, FIRSTS] = False
        choice.bury(dead)
    return choice


def nodes_of(w):
    return [w[:, node == NODES] for node in range(2, 6)]


def random_weights(seed, sharpness=3.0):
    """Of distributions, from nearly uniform to nearly one-hot."""
    generator = torch.Generator().manual_seed(seed)
    x = sharpness * torch.randn(SHAPE, generator=generator, dtype=torch.float64)
    return torch.cat([node.softmax(dim=1) for node in nodes_of(x)], dim=1)


def gradient(choice, penalty):
    (found,) = torch.autograd.grad(penalty(choice()), choice.alpha)
    return found


def check_distribution(choice):
    w = choice()
    assert (w >= 0).all()
    assert not w[~choice.alive].any()
    for node in nodes_of(w):
        assert_close(node.sum(dim=1), torch.ones(CELLS), atol=1e-5, rtol=0)


@settings(max_examples=50)
@given(alpha=numbers(3e38), dead=DEAD)
def test_softmaxes_are_distributions_over_the_living_whatever_the_parameters(alpha, dead):
    check_distribution(build("softmax", alpha, dead))


@settings(max_examples=50)
@given(alpha=numbers(1e30), dead=DEAD)
def test_shares_of_positive_parts_are_distributions_over_the_living(alpha, dead):
    check_distribution(build("relu", alpha, dead))


@settings(max_examples=50)
@given(alpha=numbers(30), dead=DEAD, form=st.sampled_from(list(FORMS)))
def test_weights_are_those_of_the_formula_over_the_living(alpha, dead, form):
    choice = build(form, alpha, dead)
    w, alpha = choice(), choice.alpha.detach().double()
    for cell in range(CELLS):
        for node in range(2, 6):
            there = (node == NODES) & choice.alive[cell]
            parts = alpha[cell, there].exp() if form == "softmax" else alpha[cell, there].relu()
            assert_close(w[cell, there], (parts / parts.sum()).float(), atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_the_beginning_is_uniform(form):
    choice = build(form)
    assert choice.alive.all()
    for node in nodes_of(choice()):
        assert_close(node, torch.full_like(node, 1 / node.shape[1]))


@settings(max_examples=50)
@given(alpha=numbers(300), dead=DEAD, form=st.sampled_from(list(FORMS)), seed=SEEDS)
def test_gradients_are_finite_and_those_of_the_dead_zero(alpha, dead, form, seed):
    choice = build(form, alpha, dead)
    choice().backward(torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed)))
    assert choice.alpha.grad.isfinite().all()
    assert not choice.alpha.grad[~choice.alive].any()


@pytest.mark.parametrize("form", FORMS)
def test_gradients_agree_with_finite_differences(form):
    generator = torch.Generator().manual_seed(0)
    alpha = torch.rand(SHAPE, generator=generator, dtype=torch.float64) + 0.1
    choice = build(form, alpha, torch.rand(SHAPE, generator=generator) < 0.5)

    def weights(x):
        return torch.func.functional_call(choice, {"alpha": x}, ())

    assert torch.autograd.gradcheck(weights, choice.alpha)


@pytest.mark.parametrize("form", FORMS)
def test_the_dead_stay_dead_whatever_an_optimizer_does(form):
    choice, generator = build(form), torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(choice.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    buried = torch.zeros(SHAPE, dtype=torch.bool)
    for _ in range(5):
        optimizer.zero_grad()
        choice().backward(torch.randn(SHAPE, generator=generator))
        optimizer.step()
        dying = torch.rand(SHAPE, generator=generator) < 0.2
        dying[:, FIRSTS] = False
        choice.bury(dying)
        buried |= dying
        assert torch.equal(choice.alive, ~buried)
        assert not choice()[buried].any()
    other = Choice(TRIPLES, CELLS, form, 1.0)
    other.load_state_dict(choice.state_dict())
    assert torch.equal(other(), choice())


@settings(max_examples=30)
@given(alpha=numbers(30), dead=DEAD, moved=arrays("float32", (CELLS, 4), elements=st.floats(-100, 100, width=32)))
def test_a_softmax_does_not_change_when_all_of_a_node_shift(alpha, dead, moved):
    there = torch.from_numpy(moved)[:, NODES - 2]
    assert_close(build("softmax", alpha + there, dead)(), build("softmax", alpha, dead)(), atol=1e-5, rtol=1e-3)


@settings(max_examples=30)
@given(alpha=numbers(30), dead=DEAD, scale=arrays("float32", (CELLS, 4), elements=st.floats(0.125, 64, width=32)))
def test_shares_do_not_change_when_all_of_a_node_grow(alpha, dead, scale):
    choice = build("relu", alpha, dead)
    w = choice()
    choice.alpha.data *= torch.from_numpy(scale)[:, NODES - 2]
    assert_close(choice(), w)


def test_penalties_of_one_pair_a_node_are_the_least():
    """log 51 = 3.9 and 0 a node, as the methods' headers say."""
    w = torch.zeros(SHAPE, dtype=torch.float64)
    w[:, FIRSTS] = 1
    assert float(sparsity(w)) == pytest.approx(CELLS * 4 * math.log(51))
    assert float(entropy(w)) == 0


@pytest.mark.parametrize(("equal", "sparse", "nats"), [(2, 6.5, 0.69), (3, 8.6, 1.10)])
def test_penalties_of_equal_pairs(equal, sparse, nats):
    w = torch.full((1, equal), 1 / equal, dtype=torch.float64)
    assert float(sparsity(w)) == pytest.approx(equal * math.log(1 + 50 / equal)) == pytest.approx(sparse, abs=0.05)
    assert float(entropy(w)) == pytest.approx(math.log(equal)) == pytest.approx(nats, abs=0.005)


@given(seed=SEEDS, sharpness=st.floats(0, 20))
def test_penalties_lie_between_one_pair_and_equal_pairs(seed, sharpness):
    for node in nodes_of(random_weights(seed, sharpness)):
        count, w = node.shape[1], node[:1]
        assert math.log(51) - 1e-9 <= float(sparsity(w)) <= count * math.log(1 + 50 / count) + 1e-9
        assert -1e-9 <= float(entropy(w)) <= math.log(count) + 1e-9


@given(seeds=st.tuples(SEEDS, SEEDS), share=st.floats(0, 1), penalty=st.sampled_from(PENALTIES))
def test_penalties_are_concave(seeds, share, penalty):
    one, other = map(random_weights, seeds)
    between = float(penalty(share * one + (1 - share) * other))
    assert between >= share * float(penalty(one)) + (1 - share) * float(penalty(other)) - 1e-9


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_penalties_have_no_slope_where_all_that_lives_is_equal_and_some_elsewhere(form, penalty, share):
    generator = torch.Generator().manual_seed(0)
    start = torch.full(SHAPE, FORMS[form], dtype=torch.float64)
    choice = build(form, start, torch.rand(SHAPE, generator=generator) < share)
    assert_close(gradient(choice, penalty), torch.zeros_like(start), atol=1e-12, rtol=0)
    noise = torch.randn(SHAPE, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        choice.alpha += 0.5 * noise
    assert float(gradient(choice, penalty).norm()) > 0.1


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize("form", FORMS)
def test_descent_leads_towards_one_pair_a_node(form, penalty):
    noise = 0.1 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    choice = build(form, FORMS[form] + noise)
    optimizer = torch.optim.SGD(choice.parameters(), 0.02)
    values = []
    for _ in range(50):
        optimizer.zero_grad()
        value = penalty(choice())
        value.backward()
        optimizer.step()
        values.append(value.item())
    assert all(later < earlier for earlier, later in pairwise(values))


def test_the_entropy_has_a_gradient_where_a_weight_is_zero():
    w = torch.tensor([[0.0, 0.25, 0.75, 1e-45]], requires_grad=True)
    entropy(w).backward()
    assert w.grad.isfinite().all()
    assert_close(w.grad[:, 1:3], -1 - w.detach()[:, 1:3].log())
    choice = build("softmax", torch.where(torch.arange(SHAPE[1]) % 2 == 0, 300.0, -300.0).expand(SHAPE))
    assert (choice() == 0).any()
    assert gradient(choice, entropy).isfinite().all()
