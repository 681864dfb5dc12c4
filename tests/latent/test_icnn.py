"""Scores are concave at every moment, their closed-form gradient is exact, and no ascent beats a linear program."""

import copy

import numpy as np
import pytest
import torch
from scipy.optimize import linprog
from scipy.sparse import coo_array

from crlso.latent.icnn import ConcaveEnsemble

PAIRS = 10_000
ACTIVATIONS = pytest.mark.parametrize("activation", ["squareplus", "leaky_relu"])


def make(activation, seed=0, latent=6, hidden=16, layers=3, members=3):
    torch.manual_seed(seed)
    return ConcaveEnsemble(latent, hidden, layers, members, activation)


def assert_midpoint_concave(ensemble, scale, generator):
    """On random pairs, to 1e-5 of the range of values."""
    ends = scale * torch.randn(2, PAIRS, ensemble.inputs[0].shape[1], generator=generator)
    with torch.no_grad():
        left, right, middle = (ensemble(z) for z in (*ends, ends.mean(dim=0)))
    assert middle.isfinite().all()
    values = torch.cat([left, right, middle], dim=1)
    tolerance = 1e-5 * (values.amax(dim=1, keepdim=True) - values.amin(dim=1, keepdim=True))
    assert (middle >= (left + right) / 2 - tolerance).all()


@ACTIVATIONS
@pytest.mark.parametrize("scale", [0.1, 1.0, 1e3])
def test_midpoints_lie_above_chords(activation, scale):
    assert_midpoint_concave(make(activation), scale, torch.Generator().manual_seed(0))


@ACTIVATIONS
def test_concave_at_every_moment_of_a_wild_training(activation):
    """Targets that no concave function has, and learning rates that throw weights far away."""
    ensemble, generator = make(activation), torch.Generator().manual_seed(1)
    optimizer = torch.optim.Adam(ensemble.parameters(), lr=1.0)
    z = torch.randn(256, 6, generator=generator)
    for _ in range(10):
        loss = (ensemble(z) - z.square().sum(dim=1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert_midpoint_concave(ensemble, 3.0, generator)
    assert max(parameter.abs().max() for parameter in ensemble.parameters()) > 5


@ACTIVATIONS
def test_strictly_concave_by_at_least_the_curvature(activation):
    """f((x + y)/2) - (f(x) + f(y))/2 ≥ κ|x - y|²/8."""
    ensemble = make(activation).double()
    x, y = torch.randn(2, 1_000, 6, dtype=torch.float64)
    with torch.no_grad():
        excess = ensemble((x + y) / 2) - (ensemble(x) + ensemble(y)) / 2
        least = ensemble.log_curvature.exp() * (x - y).square().sum(dim=1) / 8
    assert (least > 0).all()
    assert (excess >= least - 1e-9).all()


@ACTIVATIONS
@pytest.mark.parametrize("layers", [1, 2, 4])
def test_closed_form_is_the_gradient_of_the_mean(activation, layers):
    ensemble = make(activation, layers=layers).double()
    for parameter in ensemble.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    z = torch.randn(100, 6, dtype=torch.float64, requires_grad=True)
    mean = ensemble(z).mean(dim=0)
    (wanted,) = torch.autograd.grad(mean.sum(), z)
    score, gradient = ensemble.gathered()(z.detach().numpy().T)
    np.testing.assert_allclose(score, mean.detach(), rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(gradient.T, wanted, rtol=1e-7, atol=1e-7)


def test_closed_form_in_single_precision_is_as_exact_as_the_ensemble():
    ensemble, z = make("squareplus", hidden=64), torch.randn(100, 6)
    exact = copy.deepcopy(ensemble).double()(z.double()).mean(dim=0).detach().numpy()
    score, gradient = ensemble.gathered()(z.numpy().T)
    assert (score.dtype, gradient.dtype) == (np.float32, np.float32)
    assert np.abs(score - exact).max() <= 2 * np.abs(ensemble(z).mean(dim=0).detach().numpy() - exact).max()


def test_gathered_weights_are_those_of_the_moment():
    ensemble, z = make("squareplus"), torch.randn(5, 6).numpy().T
    before, _ = (frozen := ensemble.gathered())(z)
    with torch.no_grad():
        for parameter in ensemble.parameters():
            parameter.add_(0.1)
    assert np.array_equal(frozen(z)[0], before)
    assert not np.isclose(ensemble.gathered()(z)[0], before).any()


@ACTIVATIONS
def test_activations_are_convex_and_never_fall(activation):
    x = torch.linspace(-20, 20, 4_001, dtype=torch.float64)
    value, slope = make(activation).activate(x)
    assert (slope > 0).all()
    assert (slope.diff() >= 0).all()
    rise = value.diff() / x.diff()
    assert (slope[:-1] - 1e-8 <= rise).all()
    assert (rise <= slope[1:] + 1e-8).all()


def test_members_are_independent():
    ensemble, z = make("squareplus"), torch.randn(4, 6)
    before = ensemble(z)
    with torch.no_grad():
        for parameter in ensemble.parameters():
            parameter[1] += 0.5
    changed = (ensemble(z) != before).all(dim=1)
    assert changed.tolist() == [False, True, False]


def exact_maximum(ensemble, bound):
    """Maximum over the box [-bound, bound]^Z and where it is, of one piecewise linear member, as a linear program.

    Each unit's h ≥ x and h ≥ slope·x; because all weights on h are non-negative, the minimum of the convex function
    makes one of the two tight.
    """
    slope = float(ensemble.activate(torch.tensor(-1.0))[1])
    inputs = [x[0].double().numpy() for x in ensemble.inputs]
    weights = [x[0].double().exp().numpy() for x in ensemble.log_weights]
    biases = [x[0, 0].double().numpy() for x in ensemble.biases]
    dims, hidden = inputs[0].shape
    total = dims + hidden * len(inputs)
    rows, limits = [], []
    for layer, (into, bias) in enumerate(zip(inputs, biases, strict=True)):
        x = np.zeros((hidden, total))
        x[:, :dims] = into.T
        if layer:
            x[:, dims + hidden * (layer - 1) : dims + hidden * layer] = weights[layer - 1].T
        for factor in (1.0, slope):
            row = factor * x
            row[:, dims + hidden * layer : dims + hidden * (layer + 1)] -= np.eye(hidden)
            rows.append(row)
            limits.append(-factor * bias)
    cost = np.zeros(total)
    cost[:dims] = ensemble.linear[0, 0].double().numpy()
    cost[-hidden:] = ensemble.log_output[0, 0].double().exp().numpy()
    box = [(-bound, bound)] * dims + [(None, None)] * (total - dims)
    found = linprog(cost, coo_array(np.concatenate(rows)), np.concatenate(limits), bounds=box)
    assert found.success
    return -(found.fun + float(ensemble.offset)), found.x[:dims]


@torch.no_grad()
@pytest.mark.parametrize("seed", range(8))
def test_ascent_comes_near_the_linear_programs_optimum_and_never_above(seed):
    rng = np.random.default_rng(seed)
    sizes = {"latent": int(rng.integers(1, 7)), "hidden": int(rng.integers(2, 13)), "layers": int(rng.integers(1, 4))}
    bound = float(rng.uniform(0.5, 3))
    ensemble = make("leaky_relu", seed, **sizes, members=1).double()
    ensemble.linear.normal_(std=0.1)
    ensemble.offset.normal_()
    ensemble.log_curvature.fill_(-torch.inf)
    best, at = exact_maximum(ensemble, bound)
    surrogate = ensemble.gathered()
    assert surrogate(at[:, None])[0].item() == pytest.approx(best, abs=1e-7)
    z = rng.uniform(-bound, bound, (sizes["latent"], 64))
    worst, highest = surrogate(z)[0].min().item(), -np.inf
    for step in range(300):
        score, gradient = surrogate(z)
        highest = max(highest, score.max().item())
        direction = gradient / np.linalg.norm(gradient, axis=0).clip(min=1e-12)
        z = (z + bound / (step + 1) ** 0.7 * direction).clip(-bound, bound)
    assert highest <= best + 1e-7
    assert highest >= best - 0.05 * (best - worst)
