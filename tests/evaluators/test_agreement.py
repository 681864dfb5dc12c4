"""What is compared are distinct rows of the table with a value, each quantity with the sign that makes more better."""

import numpy as np
import pytest

from crlso.evaluators import TableEvaluator
from crlso.evaluators.agreement import Agreement, compare
from crlso.exceptions import ProblemError, UnknownNameError
from crlso.networks import costs
from crlso.spaces import get_space
from crlso.tables import Metric, Table

SPACE = get_space("nasbench201")
ARCHS = SPACE.sample(60, np.random.default_rng(0))
PARAMS = np.array([costs(SPACE.canonical(arch)).params for arch in ARCHS], dtype=np.float64)
RANDOM = np.random.default_rng(1).normal(size=60)
RANDOM[40:] = np.nan
TABLE = Table(
    SPACE.name,
    "mine",
    [arch.text for arch in ARCHS],
    {Metric("error", "min"): -PARAMS, Metric("random"): RANDOM, Metric("gain"): PARAMS**2},
)


def test_values_belong_to_their_architectures_and_have_their_signs():
    seen = []
    found = compare(TableEvaluator(TABLE, ["gain"]), TABLE, "error", sample=30, seed=3, progress=seen.append)
    assert seen == list(range(1, 31))
    assert len({arch.text for arch in found.archs}) == 30
    for arch, truth, guess, params in zip(found.archs, found.truth, found.guess, found.params, strict=True):
        row = TABLE.texts.index(arch.text)
        assert (truth, guess, params) == (PARAMS[row], PARAMS[row] ** 2, PARAMS[row])
    figures = found.figures()
    assert figures["evaluator"] == figures["params"] == figures["both"], "all have the same order"
    assert figures["params"]["kendall_tau"].value == pytest.approx(1)


def test_less_of_a_guess_is_better_where_its_metric_says_so():
    found = compare(TableEvaluator(TABLE, ["error"]), TABLE, "gain", sample=30)
    assert found.figures()["evaluator"]["kendall_tau"].value == pytest.approx(1)


def test_two_guesses_with_faults_of_their_own_are_better_together():
    """Each is the truth with noise; the sum of their ranks has less."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=400)
    guess, params = truth + rng.normal(size=(2, 400))
    found = Agreement(tuple(ARCHS[:1] * 400), truth, 1e3 * guess**3, params).figures()
    taus = {name: figures["kendall_tau"].value for name, figures in found.items()}
    assert taus["both"] > max(taus["evaluator"], taus["params"]) + 0.05


def test_rows_are_those_with_a_value_by_a_seed():
    evaluator = TableEvaluator(TABLE, ["gain"])
    whole = compare(evaluator, TABLE, "random", sample=40)
    assert sorted(whole.truth) == sorted(RANDOM[:40])
    first, again, other = (compare(evaluator, TABLE, "random", sample=12, seed=seed).archs for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("sample", [0, 41])
def test_more_rows_than_there_are_is_refused(sample):
    with pytest.raises(ProblemError, match=f"{sample} of 40 rows of mine that have random: take 1 to 40"):
        compare(TableEvaluator(TABLE, ["gain"]), TABLE, "random", sample=sample)


def test_unknown_metrics_are_answered_by_the_known_ones():
    with pytest.raises(UnknownNameError, match="error"):
        compare(TableEvaluator(TABLE, ["gain"]), TABLE, "accuracy", sample=12)
