"""`crlso search`: the best of a table on stdout, the record in a file, and nothing lost by wrong input."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from crlso import cli
from crlso.evaluators import TableEvaluator
from crlso.networks import costs
from crlso.search.history import read_history
from crlso.search.registry import make_strategy
from crlso.search.runner import run as search
from crlso.spaces import get_space
from crlso.tables import Metric, Table, read_table, write_table

SPACE = get_space("nasbench201")


def run(*arguments):
    return CliRunner().invoke(cli.app, ["search", *map(str, arguments)])


def refused(result):
    """The one line that a refusal prints."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture(scope="module")
def parquet(accuracy, tmp_path_factory):
    """Forty cells, the last ten without latency."""
    archs = SPACE.sample(40, np.random.default_rng(0))
    latency = np.where(np.arange(40) < 30, np.linspace(1, 2, 40), np.nan)
    metrics = {Metric("accuracy"): np.array([accuracy(arch) for arch in archs]), Metric("latency", "min"): latency}
    path = tmp_path_factory.mktemp("tables") / "t.parquet"
    write_table(Table(SPACE.name, "mine", [arch.text for arch in archs], metrics), path)
    return path


@pytest.fixture
def common(parquet, tmp_path):
    return ("--space", SPACE.name, "--table", parquet, "--strategy", "random", "--out", tmp_path / "r.json")


def values(history):
    return [query.values for query in history.queries]


def test_the_file_is_the_runners_and_the_summary_is_its_best(common, parquet, tmp_path):
    result = run(*common, "--metric", "accuracy", "--budget", 20, "--init", 4, "--batch", 3, "--seed", 5)
    assert result.exit_code == 0, result.output
    assert result.stderr == "", "no bar where there is no terminal"
    evaluator = TableEvaluator(read_table(parquet), ["accuracy"])
    asker = make_strategy("random", SPACE, seed=5, candidates=evaluator.candidates, objectives=1)
    expected = search(asker, evaluator, budget=20, init=4, batch=3)
    content = json.loads((tmp_path / "r.json").read_text())
    assert [query["arch"] for query in content["history"]] == [query.arch for query in expected.queries]
    best = max(content["history"], key=lambda query: query["value"])
    assert content["best"]["arch"] == best["arch"]
    first, header, found = result.stdout.splitlines()
    assert first == f"{tmp_path / 'r.json'}: 20 queries by random, seed 5; the budget is spent"
    assert header.split() == ["query", "accuracy", "(max)", "architecture"]
    assert found.split() == [str(content["best"]["query"]), f"{best['value']:.6g}", best["arch"]]


def test_rows_without_the_metric_are_no_candidates_and_a_search_ends_with_the_last(common, tmp_path):
    result = run(*common, "--metric", "latency", "--budget", 500)
    assert result.exit_code == 0, result.output
    history = read_history(tmp_path / "r.json")
    assert history.plan.candidates == 30
    assert f"{len(history.queries)} classes of 30 candidates are evaluated" in result.stdout
    assert history.queries[history.best[0]].values == (1.0,), "less latency is better"


@pytest.mark.parametrize(
    ("flags", "direction"),
    [
        (("--metric", "accuracy"), "max"),
        (("--metric", "accuracy", "--minimize"), "min"),
        (("--metric", "latency"), "min"),
        (("--objective", "latency:max"), "max"),
        (("--minimize",), "min"),
        ((), "max"),
    ],
)
def test_directions(common, tmp_path, flags, direction):
    assert run(*common, "--budget", 5, *flags).exit_code == 0
    history = read_history(tmp_path / "r.json")
    assert history.plan.directions == (direction,)
    extreme = (max if direction == "max" else min)(values(history))
    assert history.queries[history.best[0]].values == extreme


def test_several_objectives_have_a_front(common, tmp_path):
    flags = ("--objective", "accuracy", "--objective", "params", "--objective", "latency:min")
    result = run(*common, "--budget", 25, *flags)
    assert result.exit_code == 0, result.output
    history = read_history(tmp_path / "r.json")
    assert history.plan.metrics == ("accuracy", "params", "latency")
    assert history.plan.directions == ("max", "min", "min")
    params = [costs(SPACE.parse(query.arch)).params for query in history.queries]
    assert [query.values[1] for query in history.queries] == params
    assert len(result.stdout.splitlines()) == 3 + len(history.best)
    assert f"hypervolume {history.queries[-1].hypervolume:.6g} above" in result.stdout


def test_limits_filter_what_is_asked(common, tmp_path):
    result = run(*common, "--budget", 100, "--limit", "params<=4e5", "--limit", "flops>=1e7")
    assert result.exit_code == 0, result.output
    history = read_history(tmp_path / "r.json")
    counted = [costs(SPACE.parse(query.arch)) for query in history.queries]
    assert 0 < len(counted) < 40
    assert all(cost.params <= 4e5 and cost.flops >= 1e7 for cost in counted)


def test_limits_on_a_column_are_kept_by_the_best(common, tmp_path):
    result = run(*common, "--metric", "accuracy", "--budget", 30, "--limit", "latency<=1.3")
    assert result.exit_code == 0, result.output
    history = read_history(tmp_path / "r.json")
    (best,) = history.best
    allowed = [query.values[0] for query in history.queries if query.limited[0] <= 1.3]
    assert history.queries[best].values[0] == max(allowed)
    assert max(allowed) < max(query.values[0] for query in history.queries)


def test_a_resumed_search_is_the_undisturbed_one(common, tmp_path):
    flags = ("--metric", "accuracy", "--seed", 2)
    assert run(*common, *flags, "--budget", 13, "--resume").exit_code == 0
    assert "is there already" in refused(run(*common, *flags, "--budget", 25))
    assert run(*common, *flags, "--budget", 25, "--resume").exit_code == 0
    resumed = read_history(tmp_path / "r.json")
    assert run(*common, *flags, "--budget", 25, "--force").exit_code == 0
    undisturbed = read_history(tmp_path / "r.json")
    assert [query.arch for query in resumed.queries] == [query.arch for query in undisturbed.queries]
    assert undisturbed.seconds != resumed.seconds


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--metric", "speed"), "unknown metric 'speed'; known: accuracy, latency"),
        (("--objective", "speed:max", "--objective", "params"), "unknown metric 'speed'; known: accuracy, latency"),
        (("--objective", "accuracy", "--objective", "accuracy:min"), "name one metric, or several different ones"),
        (("--strategy", "magic"), "unknown strategy 'magic'; known: "),
        (("--strategy", "local", "--objective", "accuracy", "--objective", "latency"), "takes 1 objective(s), not 2"),
        (("--limit", "params<=1"), "no candidate keeps all limits"),
        (("--limit", "speed>=1"), "unknown metric 'speed'; known: accuracy, latency"),
        (("--objective", "accuracy", "--objective", "params", "--limit", "latency<=1"), "one of the objectives"),
        (("--limit", "params<1"), "is no limit"),
        (("--seed", 1, "--resume"), "asked for is seed 1, not 0"),
        (("--metric", "latency", "--resume"), 'metrics ["latency"], not ["accuracy"]'),
        (("--resume", "--force"), "either goes on (--resume) or replaces another (--force)"),
        (("--space", "nasbench999", "--force"), "nasbench999"),
        (("--table", "nowhere.csv", "--force"), "nowhere.csv: no such file"),
        (("--out", "nowhere/r.json"), "create it first"),
        ((), "is there already"),
    ],
)
def test_what_can_be_mended_is_one_line_and_nothing_is_lost(common, tmp_path, flags, message):
    out = tmp_path / "r.json"
    assert run(*common, "--budget", 5).exit_code == 0
    before = out.read_bytes()
    forced = () if {"--resume", "--force"} & set(flags) or not flags else ("--force",)
    assert message in refused(run(*common, "--budget", 9, *flags, *forced))
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["resnet,1.0"], "row 1: no architecture of space nasbench201"),
        (["{0},", "{1},"], "metric 'm' has no measurement in any row"),
        (["{0},1", "{1},good"], "every column but `arch` holds numbers"),
    ],
)
def test_tables_that_are_none_are_refused(tmp_path, rows, message):
    texts = [arch.text for arch in SPACE.sample(2, np.random.default_rng(0))]
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["arch,m", *(row.format(*texts) for row in rows)]) + "\n")
    flags = ("--space", SPACE.name, "--metric", "m", "--strategy", "random", "--budget", 5)
    assert message in refused(run(*flags, "--table", table, "--out", tmp_path / "r.json"))
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    "changed",
    [
        ("--dataset", "cifar10"),
        ("--budget", 0),
        ("--init", -1),
        ("--batch", 0),
        ("--objective", "accuracy", "--metric", "accuracy"),
        ("--objective", "accuracy", "--minimize"),
    ],
)
def test_wrong_usage_has_the_same_exit_code(common, tmp_path, changed):
    result = run(*common, "--budget", 5, *changed)
    assert result.exit_code == 2
    assert "Usage" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_module_search_is_the_command(tmp_path):
    out = tmp_path / "r.json"
    flags = ("--space", SPACE.name, "--dataset", "cifar10", "--strategy", "random", "--budget", "3", "--out", str(out))
    process = subprocess.run([sys.executable, "-m", "crlso.search", *flags], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    history = read_history(out)
    assert (history.plan.table, history.plan.metrics, len(history.queries)) == ("cifar10", ("val_accuracy",), 3)
