"""Text changes settings that are there, within their bounds, and nothing that was given."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from crlso.exceptions import ProblemError, UnknownNameError
from crlso.settings import make_settings


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    rate: float = Field(0.5, gt=0)
    name: str = "inner"


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int = 1
    inner: Inner = Inner()


@given(st.integers(), st.floats(min_value=0.1, max_value=1e9), st.text(st.characters(codec="ascii", categories=["L"])))
def test_changes_are_read_as_json_and_else_as_text(count, rate, name):
    outer = {"inner": {"rate": 2.0}}
    found = make_settings(Outer, outer, [f"count={count}", f"inner.rate={rate!r}", f"inner.name=<{name}>"])
    assert found == Outer(count=count, inner=Inner(rate=rate, name=f"<{name}>"))
    assert outer == {"inner": {"rate": 2.0}}
    assert make_settings(Outer, outer) == Outer(inner=Inner(rate=2.0))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ("counts=1", UnknownNameError, "unknown setting 'counts'; known: count, inner"),
        ("inner.rats=1", ProblemError, "inner.rats: Extra inputs"),
        ("inner.rate=0", ProblemError, "settings out of range: inner.rate: "),
        ("count.of=1", ProblemError, "count.of is no setting: count is 3 and has none of its own"),
        ("count", ProblemError, "write name=value"),
    ],
)
def test_what_is_no_setting_is_said(change, error, message):
    with pytest.raises(error, match=message):
        make_settings(Outer, {"count": 3}, [change])
