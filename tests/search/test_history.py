"""The record of a search: what is written is read back, a file is whole or not there, best means best."""

import json
import math
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlso.exceptions import ProblemError
from crlso.pareto import hypervolume
from crlso.search.history import Asked, History, Plan, read_history
from crlso.search.problem import Constraint

VALUE = st.floats(-1e6, 1e6) | st.just(math.nan)


def plan(**changed):
    fields = {
        "space": "nasbench201", "table": "mine", "digest": "ab", "metrics": ("accuracy",), "directions": ("max",),
        "limits": (), "strategy": "random", "seed": 0, "init": 2, "batch": 1, "candidates": 9,
    }  # fmt: skip
    return Plan.model_validate(fields | changed)


def two(**changed):
    return plan(metrics=("accuracy", "latency"), directions=("max", "min"), reference=(0.0, 10.0), **changed)


def record(of, *rows):
    history = History(of, budget=20)
    for number, row in enumerate(rows):
        history.add(f"arch {number}", tuple(map(float, row)), (), seconds=0.5)
    return history


@given(values=st.lists(st.tuples(VALUE, VALUE), max_size=6), several=st.booleans())
def test_what_is_written_is_read_back(values, several, tmp_path_factory):
    path = tmp_path_factory.mktemp("record") / "r.json"
    history = record(two() if several else plan(table=None, digest=None), *(row[: several + 1] for row in values))
    history.pending = [Asked(arch="later", seconds=0.1)]
    history.seconds, history.end = 1.25, None if several else "why"
    history.write(path)
    assert read_history(path) == history
    assert [entry.name for entry in path.parent.iterdir()] == ["r.json"]


def test_a_single_metric_is_written_as_the_readme_says(tmp_path):
    history = record(plan(limits=(Constraint(metric="params", max=4e5),)), [1.0], [math.nan], [3.0])
    history.write(tmp_path / "r.json")
    content = json.loads((tmp_path / "r.json").read_text())
    assert list(content) == [
        "space", "table", "digest", "metric", "direction", "limits", "strategy", "seed", "init", "batch",
        "candidates", "budget", "history", "pending", "best", "end", "seconds",
    ]  # fmt: skip
    assert content["history"][1] == {"arch": "arch 1", "value": None, "seconds": 0.5}
    assert content["best"] == {"query": 3, "arch": "arch 2", "value": 3.0, "seconds": 0.5}
    assert content["limits"] == [{"metric": "params", "min": None, "max": 4e5}]


def test_several_metrics_have_a_front_and_its_volume_after_every_query(tmp_path):
    rows = [(1.0, 5.0), (2.0, 6.0), (0.5, 7.0), (math.nan, 1.0), (3.0, 2.0)]
    history = record(two(), *rows)
    history.write(tmp_path / "r.json")
    content = json.loads((tmp_path / "r.json").read_text())
    assert (content["metrics"], content["directions"]) == (["accuracy", "latency"], ["max", "min"])
    assert [found["query"] for found in content["pareto"]] == [5]
    assert content["history"][3]["values"] == [None, 1.0]
    gains = np.array(rows) * [1, -1]
    volumes = [hypervolume(gains[: count + 1], np.array([0.0, -10.0])) for count in range(len(rows))]
    assert [query["hypervolume"] for query in content["history"]] == volumes
    assert volumes == sorted(volumes)


@given(values=st.lists(VALUE, min_size=1, max_size=8), direction=st.sampled_from(["max", "min"]))
def test_best_is_the_first_of_the_best_values(values, direction):
    history = record(plan(directions=(direction,)), *([value] for value in values))
    measured = [value for value in values if not math.isnan(value)]
    extreme = (max if direction == "max" else min)(measured) if measured else None
    assert history.best == ([values.index(extreme)] if measured else [])


def test_the_strategys_view_has_more_as_better_and_nan_for_failures():
    told = record(two(), (1.0, 5.0), (math.nan, 2.0)).told()
    assert told[0] == ["arch 0", 1.0, -5.0]
    assert told[1][0] == "arch 1"
    assert math.isnan(told[1][1])


def test_differences_name_what_differs_and_nothing_else():
    changed = plan(seed=1, strategy="gp", digest="cd", table="renamed")
    assert changed.differences(plan()) == ['digest "cd", not "ab"', 'strategy "gp", not "random"', "seed 1, not 0"]
    assert plan(table="renamed").differences(plan()) == []


def test_a_failed_write_leaves_the_old_record(tmp_path, monkeypatch):
    path = tmp_path / "r.json"
    record(plan(), [1.0]).write(path)
    old = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ProblemError, match=r"r\.json cannot be written: No space left"):
        record(plan(), [1.0], [2.0]).write(path)
    assert path.read_bytes() == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["r.json"]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b'{"space": "nasbench201"}', b"\xff"])
def test_other_files_are_no_records(tmp_path, content):
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(ProblemError, match="is no record of a search"):
        read_history(path)


def test_every_truncation_of_a_record_is_noticed(tmp_path):
    path = tmp_path / "r.json"
    record(plan(), [1.0]).write(path)
    whole = path.read_bytes().rstrip()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ProblemError, match="is no record of a search"):
            read_history(path)
