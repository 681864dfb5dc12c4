"""Theory of the scalarisation: concave, true to dominance, and the hypervolume in expectation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crlso.pareto import hypervolume
from crlso.search.scalarisation import draw_directions, scalarise

seeds = st.integers(0, 2**31 - 1)
objectives = st.integers(1, 4)


def drawn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(seeds, objectives)
def test_concave_in_what_concave_objectives_are_functions_of(seed, objectives):
    def score(z):
        y = -((z[:, None] - peaks) ** 2).sum(dim=-1)  # concave in z
        return scalarise(y, drawn(seed, objectives), direction)

    peaks = drawn(seed + 1, objectives, 3)
    direction = draw_directions(1, objectives, torch.Generator().manual_seed(seed))
    left, right = drawn(seed + 2, 2, 64, 3)
    assert (score((left + right) / 2) >= (score(left) + score(right)) / 2 - 1e-9).all()


@given(seeds, objectives)
def test_what_is_better_in_all_objectives_scores_higher(seed, objectives):
    generator = torch.Generator().manual_seed(seed)
    values, direction = drawn(seed, 32, objectives), draw_directions(32, objectives, generator)
    better = values + drawn(seed + 1, 32, objectives).abs() + 1e-6
    reference = drawn(seed + 2, objectives)
    assert (scalarise(better, reference, direction) > scalarise(values, reference, direction)).all()


def test_it_is_the_length_of_the_ray_that_is_dominated():
    reference, direction = torch.tensor([1.0, 2.0]), torch.tensor([0.6, 0.8])
    assert scalarise(reference + 3 * direction, reference, direction).item() == pytest.approx(3.0)
    assert scalarise(
        reference + 3 * direction + torch.tensor([5.0, 0.0]), reference, direction
    ).item() == pytest.approx(3)


@given(seeds, objectives)
def test_directions_are_positive_unit_vectors(seed, objectives):
    directions = draw_directions(100, objectives, torch.Generator().manual_seed(seed))
    assert (directions > 0).all()
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(100))


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_the_best_along_random_directions_measure_the_hypervolume(objectives):
    front = np.random.default_rng(objectives).random((12, objectives))
    reference = np.full(objectives, 0.1)
    directions = draw_directions(20_000, objectives, torch.Generator().manual_seed(0)).double()
    lengths = scalarise(torch.from_numpy(front)[:, None], torch.from_numpy(reference), directions[None])
    powers = lengths.amax(dim=0).clamp(min=0) ** objectives
    factor = math.pi ** (objectives / 2) / (2**objectives * math.gamma(objectives / 2 + 1))
    error = factor * powers.std().item() / math.sqrt(len(powers))
    assert factor * powers.mean().item() == pytest.approx(hypervolume(front, reference), abs=4 * error + 1e-6)
