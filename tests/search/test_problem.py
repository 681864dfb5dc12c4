"""What can be asked, and how a question that cannot is answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlso.exceptions import ProblemError
from crlso.search.problem import Constraint, Problem, parse_limit, read_problem

finite = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("params<=4e5", Constraint(metric="params", max=4e5)),
        ("flops>=1e7", Constraint(metric="flops", min=1e7)),
        ("  val_accuracy >= 90.5 ", Constraint(metric="val_accuracy", min=90.5)),
        ("loss<=-3", Constraint(metric="loss", max=-3.0)),
    ],
)
def test_limits_as_people_write_them(text, limit):
    assert parse_limit(text) == limit


@given(bound=finite, sign=st.sampled_from(["<=", ">="]))
def test_a_limit_keeps_every_digit(bound, sign):
    limit = parse_limit(f"params{sign}{bound!r}")
    assert (limit.max if sign == "<=" else limit.min) == bound


@pytest.mark.parametrize(
    "text",
    [
        "",
        "params",
        "params<4e5",
        "params=4e5",
        "params<=",
        "<=4",
        "params<=many",
        "params<=nan",
        "params>=-inf",
        "a b<=1",
    ],
)
def test_what_is_no_limit_is_told_how_to_write_one(text):
    with pytest.raises(ProblemError, match=r"is no limit: write one as params<=400000 or val_accuracy>=90"):
        parse_limit(text)


@given(value=finite, low=finite | st.none(), high=finite | st.none())
def test_a_constraint_admits_what_lies_between_its_bounds(value, low, high):
    if low is None and high is None:
        return
    if None not in (low, high) and low > high:
        low, high = high, low
    admitted = Constraint(metric="params", min=low, max=high).admits(value)
    assert admitted == ((low is None or low <= value) and (high is None or value <= high))


def test_bounds_themselves_are_admitted():
    limit = Constraint(metric="params", min=2.0, max=2.0)
    assert limit.admits(2.0)
    assert not limit.admits(2.0000001)
    assert not limit.admits(float("nan"))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_architecture": 3}, "num_architecture: Extra inputs"),
        ({"num_architectures": 0}, "num_architectures: .*greater than or equal to 1"),
        ({"num_starts": 1025}, "num_starts: .*less than or equal to 1024"),
        ({"num_steps": "many"}, "num_steps: .*number"),
        ({"seed": -1}, "seed: .*greater than or equal to 0"),
        ({"seed": 2**63}, "seed: .*less than"),
        ({"constraints": [{"metric": "params"}]}, r"constraints\.0: .*`min`, `max` or both"),
        ({"constraints": [{"metric": "params", "min": 2, "max": 1}]}, "min 2 is above max 1: nothing satisfies both"),
        ({"constraints": [{"metric": "params", "max": float("nan")}]}, r"constraints\.0\.max: .*finite"),
        ({"constraints": [{"metric": "params", "max": 1}] * 17}, "constraints: .*at most 16"),
        ({"objective": {"metric": "x", "direction": "up"}}, r"objective\.direction: .*'max' or 'min'"),
        ({"start_from": 5}, "start_from: "),
    ],
)
def test_a_wrong_field_is_named_with_what_it_takes(fields, message):
    with pytest.raises(ProblemError, match=message):
        read_problem(**fields)


def test_all_faults_are_named_at_once():
    with pytest.raises(ProblemError, match=r"num_starts: .*; num_steps: "):
        read_problem(num_starts=0, num_steps=0)


def test_a_problem_survives_json():
    problem = read_problem(
        objective={"metric": "accuracy"}, constraints=[parse_limit("params<=4e5")], start_from=["a"], seed=2**63 - 1
    )
    assert Problem.model_validate_json(problem.model_dump_json()) == problem
    assert read_problem() == Problem()
