"""The certificate bounds the true maximum from every point of the ball and closes at the maximiser."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crlso.latent.icnn import ConcaveEnsemble
from crlso.search.certificate import frank_wolfe_gap


def paraboloid(peak, stretch):
    """f(z) = 3 - Σ stretch (z - peak)² and its gradient."""

    def f(z):
        return 3.0 - (stretch * (z - peak) ** 2).sum(dim=-1), -2 * stretch * (z - peak)

    return f


def points(n, dims, radius, generator):
    z = torch.randn(n, dims, generator=generator, dtype=torch.float64)
    return radius * z / z.norm(dim=1, keepdim=True) * torch.rand(n, 1, generator=generator, dtype=torch.float64)


@given(seed=st.integers(0, 2**31 - 1), dims=st.integers(1, 16), radius=st.floats(0.1, 10), curvature=st.floats(0.01, 9))
def test_bounds_the_maximum_of_a_paraboloid_from_every_point(seed, dims, radius, curvature):
    generator = torch.Generator().manual_seed(seed)
    peak = torch.randn(dims, generator=generator, dtype=torch.float64)
    f, z = paraboloid(peak, curvature), points(32, dims, radius, generator)
    best = peak * min(1.0, radius / float(peak.norm()))  # the ball's point nearest to the peak
    value, gradient = f(z)
    gap = frank_wolfe_gap(gradient, z, radius)
    assert (gap >= 0).all()
    assert (value + gap >= f(best[None])[0] - 1e-9).all()


@pytest.mark.parametrize("peak", [[0.3, -0.2], [0.0, 0.0], [3.0, 4.0]])
def test_closes_at_the_maximiser_inside_and_on_the_sphere(peak):
    peak = torch.tensor(peak, dtype=torch.float64)
    best = peak * min(1.0, 1.0 / max(float(peak.norm()), 1e-9))
    _, gradient = paraboloid(peak, 1.0)(best[None])
    assert frank_wolfe_gap(gradient, best[None], 1.0).item() == pytest.approx(0.0, abs=1e-9)
    away = 0.9 * best[None] + 0.05
    _, gradient = paraboloid(peak, 1.0)(away)
    assert frank_wolfe_gap(gradient, away, 1.0) > 1e-3


def test_valid_at_a_kink_with_any_supergradient():
    """f(z) = -|z₁| - |z₂| at (0, ½): every g₁ in [-1, 1] serves."""
    z = torch.tensor([[0.0, 0.5]]).expand(5, 2)
    gradient = torch.stack([torch.linspace(-1, 1, 5), torch.full((5,), -1.0)], dim=1)
    assert (-0.5 + frank_wolfe_gap(gradient, z, 1.0) >= 0).all()


@pytest.mark.parametrize("activation", ["squareplus", "leaky_relu"])
def test_bounds_what_ten_thousand_points_reach(activation):
    torch.manual_seed(0)
    surrogate = ConcaveEnsemble(5, 8, 2, 3, activation).double().gathered()
    generator = torch.Generator().manual_seed(0)
    reached = surrogate(points(10_000, 5, 2.0, generator).numpy().T)[0].max()
    z = points(100, 5, 2.0, generator)
    value, gradient = map(torch.from_numpy, surrogate(z.numpy().T))
    assert (value + frank_wolfe_gap(gradient.T, z, 2.0)).min() >= reached


def test_points_outside_are_refused_and_those_on_the_sphere_are_not():
    with pytest.raises(ValueError, match="1 of 2 points are outside the ball of radius 1: project"):
        frank_wolfe_gap(torch.ones(2, 2), torch.tensor([[2.0, 0.0], [0.0, 0.5]]), 1.0)
    on_the_sphere = torch.nn.functional.normalize(torch.randn(1_000, 7), dim=1)
    assert frank_wolfe_gap(torch.ones(1_000, 7), on_the_sphere, 1.0).isfinite().all()
