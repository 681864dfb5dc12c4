"""A calibration is concave and never falls, whatever it was fitted to, so it keeps a score's concavity."""

import numpy as np
import pytest
import torch

from crlso.latent.calibration import ConcaveCalibration
from crlso.latent.icnn import ConcaveEnsemble


def fitted(scores, values):
    calibration = ConcaveCalibration().double()
    calibration.fit(scores, values)
    return calibration


SHAPES = {
    "noise": lambda s, rng: rng.normal(size=len(s)),
    "falling": lambda s, rng: -s,
    "convex": lambda s, rng: np.exp(3 * s),
    "long tail": lambda s, rng: 90 - 30 * rng.exponential(size=len(s)) * (s < -0.5),
    "constant": lambda s, rng: np.full(len(s), 7.0),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_concave_and_never_falling_whatever_the_data(shape):
    rng = np.random.default_rng(0)
    scores = rng.normal(size=300)
    values = SHAPES[shape](scores, rng)
    calibrated = fitted(scores, values)(torch.linspace(-6, 6, 1_001, dtype=torch.float64)).numpy()
    tolerance = 1e-9 * (1 + np.ptp(calibrated))
    assert (np.diff(calibrated) >= -tolerance).all()
    assert (np.diff(calibrated, 2) <= tolerance).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_least_squares_leave_no_mean_error(shape):
    rng = np.random.default_rng(1)
    scores = rng.normal(size=300)
    values = SHAPES[shape](scores, rng)
    error = fitted(scores, values)(torch.from_numpy(scores)).numpy() - values
    assert error.mean() == pytest.approx(0, abs=1e-4 * (1 + np.ptp(values)))
    assert (error**2).sum() <= ((values - values.mean()) ** 2).sum() * (1 + 1e-6) + 1e-9


def test_reproduces_a_concave_piecewise_linear_function():
    scores = -np.random.default_rng(2).random(2_000)
    values = 50 + np.minimum.reduce([40 + 8 * (scores + 0.35), 40 + 50 * (scores + 0.35), 41.0 + 0 * scores])
    calibration = fitted(scores, values)
    error = np.abs(calibration(torch.from_numpy(scores)).numpy() - values)
    assert error.max() < 0.02 * np.ptp(values)
    assert np.median(error) < 0.002 * np.ptp(values)
    assert calibration.ceiling.item() == pytest.approx(values.max(), abs=0.01)


def test_no_prediction_exceeds_the_ceiling():
    scores = np.linspace(-1, 0, 500)
    calibration = fitted(scores, 10 * scores)
    beyond = calibration(torch.tensor([-100.0, -1.0, 0.0, 5.0, 1e6], dtype=torch.float64))
    assert (beyond <= calibration.ceiling).all()
    assert (beyond[2:] == calibration.ceiling).all()
    assert calibration.ceiling.item() == pytest.approx(0, abs=0.01)


def test_a_concave_score_stays_concave():
    torch.manual_seed(0)
    ensemble = ConcaveEnsemble(5, 8, 2, 4).double().requires_grad_(False)
    x, y = 3 * torch.randn(2, 5_000, 5, dtype=torch.float64)
    scores = ensemble(x)[0].numpy()
    standard = (scores - scores.mean()) / scores.std()
    calibration = fitted(scores, np.tanh(standard) + 0.1 * np.sin(9 * standard))
    left, right, middle = (calibration(ensemble(z)) for z in (x, y, (x + y) / 2))
    assert left.std() > 0.1
    assert (middle >= (left + right) / 2 - 1e-9).all()


def test_the_state_is_all_there_is():
    scores = np.linspace(-1, 0, 100)
    one, other = fitted(scores, np.sqrt(1 + scores)), ConcaveCalibration().double()
    other.load_state_dict(one.state_dict())
    z = torch.linspace(-2, 1, 50, dtype=torch.float64)
    assert torch.equal(other(z), one(z))
