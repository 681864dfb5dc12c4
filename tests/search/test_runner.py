"""One runner: the same start for all, a resumed search is the undisturbed one, ends and refusals are clear."""

import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crlso.evaluators import TableEvaluator
from crlso.exceptions import ProblemError
from crlso.search.history import read_history
from crlso.search.peers.local import Local
from crlso.search.peers.random import Random
from crlso.search.problem import Constraint
from crlso.search.registry import make_strategy
from crlso.search.runner import Search, run
from crlso.spaces import get_space
from crlso.tables import Metric, Table

SPACE = get_space("nasbench201")


class KilledError(Exception):
    """Stands in for the end of the process: nothing is written after it."""


def sequence(history):
    return [(query.arch, query.values) for query in history.queries]


@pytest.fixture(scope="module", autouse=True)
def _no_power_cuts():
    """A killed process loses nothing that it wrote; `os.fsync` is for machines that go down, and slow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def evaluator(accuracy):
    """The cells with two edges fixed, by a made-up error, which is worth a climb."""
    archs = [arch for arch in SPACE.enumerate() if SPACE.choices(arch)[4:] == (3, 3)]
    columns = {
        Metric("error", "min", "percent"): np.array([100 - accuracy(arch) for arch in archs]),
        Metric("weight", "min"): np.array([float(sum(SPACE.choices(arch))) for arch in archs]),
    }
    return TableEvaluator(Table(SPACE.name, "made-up", [arch.text for arch in archs], columns), ["error"])


@pytest.fixture(scope="module")
def few(evaluator):
    """Sixty cells, with twins among them."""
    table = evaluator._table
    part = Table(SPACE.name, "few", table.texts[:60], {table.metric("error"): table.column("error")[:60]})
    return TableEvaluator(part, ["error"])


def local(evaluator, seed=0):
    return Local(SPACE, seed=seed, candidates=evaluator.candidates)


def drawn(evaluator, seed=0):
    return Random(SPACE, seed=seed, candidates=evaluator.candidates, objectives=len(evaluator.metrics))


class Mortal:
    """An evaluator that dies at some query, before or after it has measured."""

    def __init__(self, evaluator, lives):
        self.name, self.digest, self.metrics = evaluator.name, evaluator.digest, evaluator.metrics
        self.reference, self._evaluate, self._lives = evaluator.reference, evaluator.evaluate, lives

    def evaluate(self, arch):
        if self._lives == 0:
            raise KilledError
        self._lives -= 1
        return self._evaluate(arch)


@settings(max_examples=15)
@given(
    cuts=st.lists(st.integers(0, 12), max_size=4),
    seed=st.integers(0, 5),
    init=st.integers(0, 7),
    batch=st.integers(1, 6),
)
def test_a_search_cut_anywhere_is_the_undisturbed_one(evaluator, tmp_path_factory, cuts, seed, init, batch):
    out = tmp_path_factory.mktemp("search") / "r.json"
    numbers = {"budget": 30, "init": init, "batch": batch}
    undisturbed = run(local(evaluator, seed), evaluator, **numbers)
    for cut in cuts:
        try:
            run(local(evaluator, seed), Mortal(evaluator, cut), **numbers, out=out, resume=True)
        except KilledError:
            continue
    resumed = run(local(evaluator, seed), evaluator, **numbers, out=out, resume=True)
    assert sequence(resumed) == sequence(undisturbed)
    assert read_history(out) == resumed


@settings(max_examples=10)
@given(small=st.integers(1, 40), init=st.integers(0, 15), batch=st.integers(1, 15))
def test_a_smaller_budget_is_the_beginning_of_a_larger_one(evaluator, tmp_path_factory, small, init, batch):
    out = tmp_path_factory.mktemp("search") / "r.json"
    numbers = {"init": init, "batch": batch}
    whole = run(local(evaluator), evaluator, budget=40, **numbers)
    part = run(local(evaluator), evaluator, budget=small, **numbers, out=out)
    assert len(part.queries) == small
    assert sequence(part) == sequence(whole)[:small]
    extended = run(local(evaluator), evaluator, budget=40, **numbers, out=out, resume=True)
    assert sequence(extended) == sequence(whole)
    assert extended.end == "the budget is spent"


def test_all_strategies_of_a_seed_start_alike(evaluator):
    starts = {
        seed: {
            tuple(query.arch for query in run(make(evaluator, seed), evaluator, budget=10, init=8, batch=2).queries[:8])
            for make in (local, drawn)
        }
        for seed in range(3)
    }
    assert [len(found) for found in starts.values()] == [1, 1, 1]
    assert len(set.union(*starts.values())) == 3


def test_strategies_are_told_more_as_better(evaluator):
    strategy = local(evaluator)
    history = run(strategy, evaluator, budget=60)
    assert [-told.values[0] for told in strategy.told] == [query.values[0] for query in history.queries]
    lowest = min(query.values[0] for query in history.queries)
    assert history.queries[history.best[0]].values == (lowest,)
    chance = run(drawn(evaluator), evaluator, budget=60)
    assert lowest < min(query.values[0] for query in chance.queries), "a climb downhill finds what chance does not"


def test_no_class_is_queried_twice_and_the_search_ends_with_the_last(few, tmp_path):
    out = tmp_path / "r.json"
    history = run(drawn(few), few, budget=1000, init=7, out=out)
    keys = [SPACE.parse(query.arch).key for query in history.queries]
    classes = {arch.key for arch in few.candidates}
    assert len(keys) == len(set(keys)) == len(classes) < len(few.candidates)
    assert history.end == f"all {len(classes)} classes of 60 candidates are evaluated"
    again = run(drawn(few), Mortal(few, 0), budget=2000, init=7, out=out, resume=True)
    assert (sequence(again), again.end) == (sequence(history), history.end)


def test_a_finished_search_resumes_to_the_same_file(few, tmp_path):
    out = tmp_path / "r.json"
    run(drawn(few), few, budget=8, out=out)
    content = out.read_bytes()
    assert len(run(drawn(few), Mortal(few, 0), budget=8, out=out, resume=True).queries) == 8
    assert out.read_bytes() == content


def test_seconds_are_those_of_the_strategy(evaluator, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])

    class Slow(Local):
        def propose(self, n, rng):
            clock[0] += 2.0 * n
            return super().propose(n, rng)

        def tell(self, arch, *values):
            clock[0] += 0.5
            super().tell(arch, *values)

    class Training(Mortal):
        def evaluate(self, arch):
            clock[0] += 100.0
            return super().evaluate(arch)

    history = run(Slow(SPACE, candidates=evaluator.candidates), Training(evaluator, 99), budget=10, init=6, batch=4)
    assert [query.seconds for query in history.queries] == [0.5] * 6 + [2.5] * 4
    assert history.seconds == 10 * 100.5 + 8.0


def test_several_metrics_have_the_tables_worst_as_reference(evaluator, tmp_path):
    both = TableEvaluator(evaluator._table, ["error", "weight"])
    history = run(drawn(both), both, budget=20, out=tmp_path / "r.json")
    assert history.plan.reference == both.reference
    volumes = [query.hypervolume for query in history.queries]
    assert volumes == sorted(volumes)
    assert volumes[-1] > 0
    assert run(drawn(both), both, budget=20, out=tmp_path / "r.json", resume=True) == history


def test_the_best_keeps_limits_on_what_is_measured_and_a_resume_changes_nothing(evaluator, tmp_path):
    both = TableEvaluator(evaluator._table, ["error", "weight"])
    light = [Constraint(metric="weight", max=9.0)]

    def search(budget, out, resume=False):
        strategy = Local(SPACE, seed=1, candidates=both.candidates)
        return run(strategy, both, budget=budget, kept=light, out=tmp_path / out, resume=resume)

    whole = search(40, "whole.json")
    (best,) = whole.best
    allowed = [query for query in whole.queries if query.limited[0] <= 9.0]
    assert 0 < len(allowed) < len(whole.queries)
    assert whole.queries[best].values[0] == min(query.values[0] for query in allowed)
    search(23, "cut.json")
    assert sequence(search(40, "cut.json", resume=True)) == sequence(whole)
    with pytest.raises(ProblemError, match="make it one of the objectives"):
        Search(
            make_strategy("random", SPACE, candidates=both.candidates, objectives=2),
            both.metrics,
            budget=5,
            kept=light,
            reference=both.reference,
        )


def test_what_a_killed_write_left_is_swept_up(evaluator, tmp_path):
    out = tmp_path / "r[1].json"
    run(local(evaluator), evaluator, budget=7, out=out)
    (tmp_path / ".r[1].json.123.partial").write_text('{"space"')
    run(local(evaluator), evaluator, budget=9, out=out, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["r[1].json"]


def test_the_callers_own_loop_keeps_the_same_record(evaluator, tmp_path):
    out = tmp_path / "r.json"

    def search():
        return Search(local(evaluator), [Metric("error", "min")], budget=20, init=6, batch=4, out=out, resume=True)

    interrupted = search()
    asked = interrupted.ask()
    assert interrupted.ask() == asked, "a question stands until it is answered"
    for arch in asked[2:3]:
        interrupted.tell(arch, *evaluator.evaluate(arch))
    continued = search()
    assert [arch.text for arch in continued.ask()] == [arch.text for arch in asked[:2] + asked[3:]]
    while asked := continued.ask():
        for arch in asked:
            continued.tell(arch, *evaluator.evaluate(arch))
    assert len(read_history(out).queries) == 20
    assert read_history(out).plan.table is None


def test_a_failed_training_is_told_as_nan_and_survives_a_resume(evaluator, tmp_path):
    out, metrics = tmp_path / "r.json", [Metric("error", "min")]
    search = Search(local(evaluator), metrics, budget=9, init=3, batch=2, out=out)
    first, *_ = search.ask()
    search.tell(first, math.nan)
    strategy = local(evaluator)
    resumed = Search(strategy, metrics, budget=9, init=3, batch=2, out=out, resume=True)
    assert math.isnan(strategy.told[0].values[0])
    assert resumed.history.queries[0].values == (None,)
    assert resumed.history.best == []


def test_measurements_made_before_take_the_place_of_the_random_start(evaluator):
    search = Search(local(evaluator), [Metric("error", "min")], budget=9, init=8, batch=3)
    known = evaluator.candidates[0]
    search.tell(known, *evaluator.evaluate(known))
    assert len(search.ask()) == 3
    assert known not in search.ask()


@pytest.mark.parametrize("numbers", [{"budget": 0}, {"budget": 5, "init": -1}, {"budget": 5, "batch": 0}])
def test_numbers_out_of_range_are_refused(evaluator, tmp_path, numbers):
    with pytest.raises(ProblemError, match="needed are at least 1, 0 and 1"):
        run(local(evaluator), evaluator, out=tmp_path / "r.json", **numbers)
    assert list(tmp_path.iterdir()) == []


def test_metrics_objectives_and_reference_must_fit(evaluator):
    metric = Metric("error", "min")
    for metrics, reference in (([], None), ([metric, metric], None), ([metric], [1.0])):
        with pytest.raises(ProblemError, match="name one for each, and a reference point for several"):
            Search(local(evaluator), metrics, budget=5, reference=reference)
    search = Search(local(evaluator), [metric], budget=5)
    for values in ((), (1.0, 2.0), (math.inf,)):
        with pytest.raises(ProblemError, match="told"):
            search.tell(search.ask()[0], *values)
    assert search.history.queries == []


def test_a_file_that_is_there_is_not_touched(evaluator, tmp_path):
    out = tmp_path / "r.json"
    out.write_text("mine")
    with pytest.raises(ProblemError, match=r"is there already: continue it \(--resume\), replace it \(--force\)"):
        run(local(evaluator), evaluator, budget=5, out=out)
    with pytest.raises(ProblemError, match="is no record of a search"):
        run(local(evaluator), evaluator, budget=5, out=out, resume=True)
    with pytest.raises(ProblemError, match="either goes on"):
        run(local(evaluator), evaluator, budget=5, out=out, resume=True, overwrite=True)
    assert out.read_text() == "mine"
    run(local(evaluator), evaluator, budget=5, out=out, overwrite=True)
    assert len(read_history(out).queries) == 5


def test_a_file_that_cannot_be_is_refused_before_anything_runs(evaluator, tmp_path):
    with pytest.raises(ProblemError, match="create it first"):
        run(local(evaluator), Mortal(evaluator, 0), budget=5, out=tmp_path / "nowhere" / "r.json")
    with pytest.raises(ProblemError, match="is a directory"):
        run(local(evaluator), Mortal(evaluator, 0), budget=5, out=tmp_path, overwrite=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed 1, not 0"),
        ({"strategy": drawn}, 'strategy "random", not "local"'),
        ({"batch": 3}, "batch 3, not 5"),
        ({"init": 9}, "init 9, not 10"),
        ({"metric": "weight"}, r'digest "\w+", not "\w+"; metrics \["weight"\], not \["error"\]'),
        ({"metric": Metric("error", "max")}, r'directions \["max"\], not \["min"\]'),
        ({"limits": [Constraint(metric="params", max=1e9)]}, "limits"),
        ({"row": 7}, r'is digest "\w+", not "\w+": ask for the same'),
    ],
)
def test_the_record_of_another_search_is_refused_and_kept(evaluator, tmp_path, change, message):
    out, table = tmp_path / "r.json", evaluator._table
    run(local(evaluator), evaluator, budget=20, out=out)
    content = out.read_bytes()
    values = table.column("error").copy()
    values[change.get("row", slice(0, 0))] += 1
    columns = {table.metric("error"): values, table.metric("weight"): table.column("weight")}
    other = TableEvaluator(Table(SPACE.name, "made-up", table.texts, columns), [change.get("metric", "error")])
    numbers = {name: change[name] for name in ("batch", "init", "limits") if name in change}
    strategy = change.get("strategy", local)(other, change.get("seed", 0))
    with pytest.raises(ProblemError, match=message):
        run(strategy, other, budget=30, out=out, resume=True, **numbers)
    assert out.read_bytes() == content


PROGRAM = """
import sys

from crlso.search.peers.local import Local
from crlso.search.runner import Search
from crlso.spaces import get_space
from crlso.tables import Metric

strategy = Local(get_space("nasbench201"))
search = Search(strategy, [Metric("sum")], budget=60, init=7, batch=4, out=sys.argv[1], resume=True)
while asked := search.ask():
    for arch in asked:
        search.tell(arch, float(sum(strategy.space.choices(arch))))
        print(len(search.history.queries), flush=True)
"""


def test_a_process_killed_at_any_moment_loses_nothing(tmp_path):
    """Three kills without notice, each as soon as some more queries have been reported."""
    out = tmp_path / "r.json"
    for reached in (3, 16, 31):
        process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(out)], stdout=subprocess.PIPE, text=True)
        for line in process.stdout:
            if int(line) >= reached:
                os.kill(process.pid, signal.SIGKILL)
                break
        process.wait()
        assert process.returncode == -signal.SIGKILL
        assert reached <= len(read_history(out).queries) < 60
    subprocess.run([sys.executable, "-c", PROGRAM, str(out)], check=True, capture_output=True)
    undisturbed = tmp_path / "undisturbed.json"
    subprocess.run([sys.executable, "-c", PROGRAM, str(undisturbed)], check=True, capture_output=True)
    assert sequence(read_history(out)) == sequence(read_history(undisturbed))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.json", "undisturbed.json"]
