"""A table as evaluator: candidates are what was measured, values are those of the very text."""

import numpy as np
import pytest

from crlso.evaluators import TableEvaluator
from crlso.exceptions import ProblemError, UnknownNameError
from crlso.spaces import get_space
from crlso.tables import Metric, Table

SPACE = get_space("nasbench201")
TEXTS = [arch.text for arch in SPACE.sample(6, np.random.default_rng(0))]
NAN = np.nan
TABLE = Table(SPACE.name, "mine", TEXTS, {
    Metric("accuracy", "max", "percent"): np.array([3.0, NAN, 1.0, 2.0, 5.0, NAN]),
    Metric("latency", "min", "ms"): np.array([7.0, 8.0, NAN, 9.0, 6.0, NAN]),
    Metric("energy", "min"): np.array([NAN, 1.0, NAN, NAN, NAN, NAN]),
})  # fmt: skip


def texts(evaluator):
    return [arch.text for arch in evaluator.candidates]


def test_candidates_have_a_value_for_every_chosen_metric():
    assert texts(TableEvaluator(TABLE, ["accuracy"])) == [TEXTS[row] for row in (0, 2, 3, 4)]
    assert texts(TableEvaluator(TABLE, ["latency", "accuracy"])) == [TEXTS[row] for row in (0, 3, 4)]


def test_values_are_in_the_metrics_units_and_the_order_asked_for():
    evaluator = TableEvaluator(TABLE, ["latency", "accuracy"])
    assert [evaluator.evaluate(arch) for arch in evaluator.candidates] == [(7.0, 3.0), (9.0, 2.0), (6.0, 5.0)]
    assert evaluator.metrics == (TABLE.metric("latency"), TABLE.metric("accuracy"))


def test_twins_have_their_own_values():
    twins = [
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "|none~0|+|none~0|none~1|+|none~0|none~1|skip_connect~2|",
    ]
    first, second = map(SPACE.parse, twins)
    assert first == second
    evaluator = TableEvaluator(Table(SPACE.name, "twins", twins, {Metric("m"): np.array([1.0, 2.0])}), ["m"])
    assert (evaluator.evaluate(first), evaluator.evaluate(second)) == ((1.0,), (2.0,))


def test_what_was_not_measured_is_refused():
    with pytest.raises(ProblemError, match="mine has no measurement of"):
        TableEvaluator(TABLE, ["accuracy"]).evaluate(SPACE.parse(TEXTS[1]))


def test_the_reference_is_the_worst_of_each_metric_in_its_own_direction():
    assert TableEvaluator(TABLE, ["accuracy", "latency"]).reference == (2.0, 9.0)
    turned = [Metric("accuracy", "min"), Metric("latency", "max")]
    assert TableEvaluator(TABLE, turned).reference == (5.0, 6.0)


def test_the_digest_is_that_of_the_chosen_columns():
    alone = Table(SPACE.name, "other", TEXTS, {TABLE.metric("accuracy"): TABLE.column("accuracy")})
    assert TableEvaluator(TABLE, ["accuracy"]).digest == TableEvaluator(alone, ["accuracy"]).digest
    assert TableEvaluator(TABLE, ["accuracy"]).digest != TableEvaluator(TABLE, ["latency"]).digest
    changed = Table(SPACE.name, "mine", TEXTS, {TABLE.metric("accuracy"): TABLE.column("accuracy") + 1})
    assert TableEvaluator(changed, ["accuracy"]).digest != TableEvaluator(TABLE, ["accuracy"]).digest


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ([], "no metric: name one metric"),
        (["accuracy", "accuracy"], "name one metric, or several different ones"),
        (["accuracy", "energy"], "no architecture of mine has a value in all of accuracy, energy"),
    ],
)
def test_a_choice_without_candidates_is_refused(metrics, message):
    with pytest.raises(ProblemError, match=message):
        TableEvaluator(TABLE, metrics)


@pytest.mark.parametrize("metric", ["speed", Metric("speed")])
def test_an_unknown_metric_lists_the_known_ones(metric):
    with pytest.raises(UnknownNameError, match="known: accuracy, energy, latency"):
        TableEvaluator(TABLE, [metric])
