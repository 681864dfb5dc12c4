"""Figures of a ranking against their definitions, and what the bootstrap promises."""

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata, spearmanr

from crlso.exceptions import ProblemError
from crlso.supernet.ranking import rank, regret

QUICK = 100


def some(n, *, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=n)
    return truth + noise * rng.normal(size=n), truth


@pytest.fixture(scope="module")
def found():
    guess, truth = some(40)
    return guess, truth, rank(guess, truth, resamples=QUICK)


def test_correlations_are_those_of_scipy_and_of_their_definitions(found):
    guess, truth, figures = found
    assert figures["kendall_tau"].value == kendalltau(guess, truth).statistic
    assert figures["spearman_rho"].value == spearmanr(guess, truth).statistic
    pairs = [np.sign((guess[i] - guess[j]) * (truth[i] - truth[j])) for i, j in combinations(range(40), 2)]
    assert figures["kendall_tau"].value == pytest.approx(np.mean(pairs))
    ranks = np.corrcoef(rankdata(guess), rankdata(truth))[0, 1]
    assert figures["spearman_rho"].value == pytest.approx(ranks)


@pytest.mark.parametrize("k", [1, 3, 10, 40])
def test_regret_is_what_the_best_have_beyond_those_taken(found, k):
    guess, truth, _ = found
    taken = truth[np.argsort(-guess)[:k]]
    assert regret(guess, truth, k) == pytest.approx(truth.max() - taken.mean())


def test_ties_are_broken_at_random_in_expectation():
    guess, truth = np.array([2.0, 1.0, 1.0, 1.0, 0.0]), np.array([3.0, 6.0, 1.0, 2.0, 9.0])
    ways = [(3 + a + b) / 3 for a, b in combinations((6.0, 1.0, 2.0), 2)]
    assert regret(guess, truth, 3) == pytest.approx(9 - np.mean(ways))
    order = [3, 0, 4, 2, 1]
    assert regret(guess[order], truth[order], 3) == regret(guess, truth, 3)


def test_a_perfect_guess_has_no_regret_and_a_reversed_one_all():
    _, truth = some(30)
    assert regret(truth, truth, 1) == 0
    assert regret(-truth, truth, 1) == pytest.approx(np.ptp(truth))
    assert rank(truth, truth, resamples=QUICK)["kendall_tau"] == pytest.approx((1, 1, 1))


def test_figures_are_of_the_order_alone(found):
    guess, truth, figures = found
    assert rank(np.exp(3 * guess), truth, resamples=QUICK) == figures


def test_intervals_hold_the_figure_and_shrink_with_the_number_of_architectures():
    few, many = (rank(*some(n), resamples=QUICK) for n in (30, 600))
    for figures in (few, many):
        for estimate in figures.values():
            assert estimate.low <= estimate.value <= estimate.high
    for name in ("kendall_tau", "spearman_rho"):
        assert many[name].high - many[name].low < 0.5 * (few[name].high - few[name].low)


def test_intervals_are_a_function_of_the_seed(found):
    guess, truth, figures = found
    assert rank(guess, truth, resamples=QUICK) == figures
    assert rank(guess, truth, seed=1, resamples=QUICK) != figures


@pytest.mark.parametrize(
    ("guess", "truth", "message"),
    [
        (np.arange(9.0), np.arange(9.0), "9 architectures to rank: at least 10"),
        (np.ones(20), np.arange(20.0), "the same value"),
        (np.arange(20.0), np.ones(20), "the same value"),
    ],
)
def test_what_has_no_order_is_refused(guess, truth, message):
    with pytest.raises(ProblemError, match=message):
        rank(guess, truth)
