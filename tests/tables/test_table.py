"""A table says what was measured, orders it, and refuses what cannot be a measurement."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from crlso.exceptions import TableError, UnknownNameError
from crlso.spaces import get_space
from crlso.tables import Metric, Table

SPACE = get_space("nasbench201")
TEXTS = [arch.text for _, arch in zip(range(32), SPACE.enumerate(), strict=False)]
ACCURACY, LOSS = Metric("accuracy", "max", "percent", 200), Metric("loss", "min")

values = st.floats(-1e6, 1e6) | st.just(np.nan)
trial_arrays = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=values).filter(
    lambda trials: not np.isnan(trials).all()
)


def table(measurements, texts=None, name="t"):
    rows = len(next(iter(measurements.values())))
    return Table("nasbench201", name, TEXTS[:rows] if texts is None else texts, measurements)


@given(trial_arrays)
def test_a_value_is_the_mean_of_the_trials_that_took_place(trials):
    got = table({ACCURACY: trials})
    assert got.column("accuracy") == pytest.approx(
        [np.mean(row[~np.isnan(row)]) if not np.isnan(row).all() else np.nan for row in trials], nan_ok=True
    )
    np.testing.assert_array_equal(got.trials("accuracy"), trials)
    assert got.metric("accuracy").num_trials == trials.shape[1]


@given(trial_arrays, st.sampled_from(["max", "min"]))
def test_ranked_rows_are_the_measured_ones_from_best_to_worst(trials, direction):
    column = trials[:, 0]
    if np.isnan(column).all():
        column[0] = 0.0
    got = table({Metric("m", direction): column, Metric("other"): np.zeros(len(column))})
    rows = got.ranked("m")
    assert sorted(rows) == sorted(np.flatnonzero(~np.isnan(column)))
    worsening = np.diff(column[rows]) * (-1 if direction == "max" else 1)
    assert (worsening >= 0).all()


@given(trial_arrays, st.randoms(use_true_random=False))
def test_rows_of_one_text_are_its_trials(trials, random):
    long = [(row, value) for row, values in enumerate(trials) for value in values]
    random.shuffle(long)
    got = table({ACCURACY: np.array([value for _, value in long])}, [TEXTS[row] for row, _ in long])
    once = table({ACCURACY: trials})
    assert set(got.texts) == set(once.texts)
    for text in got.texts:
        assert got.value(text, "accuracy") == pytest.approx(once.value(text, "accuracy"))


def test_repetitions_that_agree_are_no_trials():
    got = table({ACCURACY: np.array([1.0, 3.0, 3.0]), LOSS: np.array([5.0, 7.0, 5.0])}, [TEXTS[0], TEXTS[1], TEXTS[0]])
    assert got.texts == (TEXTS[0], TEXTS[1])
    assert got.trials("loss") is None
    np.testing.assert_array_equal(got.trials("accuracy"), [[1.0, 3.0], [3.0, np.nan]])


def test_a_value_belongs_to_its_text_and_not_to_twins():
    empty, twin = TEXTS[0], TEXTS[1]
    assert SPACE.parse(empty) == SPACE.parse(TEXTS[5])
    got = table({ACCURACY: np.array([10.0, np.nan]), LOSS: np.array([1.0, 2.0])})
    assert got.value(empty, "accuracy") == got.value(SPACE.parse(empty), "accuracy") == 10.0
    assert got.value(twin, "accuracy") is None
    assert got.value(TEXTS[5], "accuracy") is None
    assert [arch.text for arch in got.architectures()] == [empty, twin]


def test_digest_is_of_the_content_alone():
    zeros, other = np.array([[0.0, 1.0], [np.nan, 2.0]]), np.array([[-0.0, 1.0], [-np.nan, 2.0]])
    a = table({ACCURACY: zeros})
    b = Table("nasbench201", "elsewhere", TEXTS[:2], {Metric("accuracy", "max", "percent", 200, "copy"): other})
    assert a.digest == b.digest


@pytest.mark.parametrize(
    "changed",
    [
        {Metric("accuracy", "min", "percent", 200): np.array([1.0, 2.0])},
        {Metric("accuracy", "max", "percent", 12): np.array([1.0, 2.0])},
        {Metric("accuracy2", "max", "percent", 200): np.array([1.0, 2.0])},
        {ACCURACY: np.array([1.0, np.nextafter(2.0, 3.0)])},
        {ACCURACY: np.array([2.0, 1.0])},
        {ACCURACY: np.array([[1.0], [2.0]])},
        {ACCURACY: np.array([1.0, 2.0]), LOSS: np.array([1.0, 2.0])},
    ],
)
def test_digest_changes_with_any_part_of_the_content(changed):
    assert table(changed).digest != table({ACCURACY: np.array([1.0, 2.0])}).digest


def test_digest_changes_with_the_architectures():
    column = {ACCURACY: np.array([1.0, 2.0])}
    assert table(column).digest != table(column, TEXTS[1::-1]).digest


def test_what_was_measured_cannot_be_changed():
    source = np.array([1.0, 2.0])
    got = table({ACCURACY: source})
    source[0] = 5.0
    assert got.value(TEXTS[0], "accuracy") == 1.0
    with pytest.raises(ValueError, match="read-only"):
        got.column("accuracy")[0] = 5.0


@pytest.mark.parametrize(
    ("measurements", "texts", "message"),
    [
        ({ACCURACY: np.zeros(3)}, [TEXTS[0], "resnet", "vgg"], r"rows 2, 3: .*nasbench201.*'resnet'"),
        ({ACCURACY: np.zeros(8)}, ["x"] * 8, r"rows 1, 2, 3 and 5 more: .*right space"),
        ({ACCURACY: np.ones(2), LOSS: np.full((2, 3), np.nan)}, TEXTS[:2], r"'loss' has no measurement"),
        ({ACCURACY: np.array([1.0, -np.inf])}, TEXTS[:2], r"row 2: metric 'accuracy' is infinite"),
        ({ACCURACY: np.ones(2)}, TEXTS[:3], r"\(2,\) values for 3 rows"),
        ({Metric("arch"): np.ones(2)}, TEXTS[:2], r"a metric needs a name of its own"),
        ({ACCURACY: np.ones(2), Metric("accuracy"): np.ones(2)}, TEXTS[:2], r"a name of its own"),
        ({ACCURACY: np.ones(0)}, [], r"at least one row"),
        ({}, TEXTS[:2], r"at least one row and one metric"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_the_rows(measurements, texts, message):
    with pytest.raises(TableError, match=message):
        Table("nasbench201", "t", texts, measurements)


def test_unknown_names_list_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"known: .*nasbench201"):
        Table("nasbench999", "t", TEXTS[:1], {ACCURACY: np.ones(1)})
    got = table({ACCURACY: np.ones(1), LOSS: np.ones(1)})
    for look_up in (got.column, got.trials, got.ranked, got.metric, lambda name: got.value(TEXTS[0], name)):
        with pytest.raises(UnknownNameError, match="known: accuracy, loss"):
            look_up("latency")
