"""`crlso supernet train|evaluate|rank` and `crlso search --evaluator`: from images to a ranking and a search by it."""

import json
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

from crlso import cli
from crlso.evaluators.agreement import compare
from crlso.evaluators.one_shot import OneShotEvaluator
from crlso.networks import costs
from crlso.search.history import read_history
from crlso.search.registry import make_strategy
from crlso.search.runner import run as search
from crlso.spaces import get_space
from crlso.tables import Metric, Table, read_table, write_table

SPACE = get_space("nasbench201")
ARCHS = SPACE.sample(40, np.random.default_rng(0))
SMALL = ("--set", "width=2", "--set", "epochs=2", "--set", "batch=8")


def run(*arguments):
    return CliRunner().invoke(cli.app, list(map(str, arguments)))


def refused(result):
    """The one line that a refusal prints."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture(scope="module")
def data(save_digits, tmp_path_factory):
    """Path of a few digits."""
    return save_digits(tmp_path_factory.mktemp("data") / "few.npz")


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    """Folder of a supernet, and what training it printed."""
    folder = tmp_path_factory.mktemp("supernets") / "one"
    result = run("supernet", "train", "--space", "nasbench201", "--dataset", data, "--out", folder, *SMALL)
    assert result.exit_code == 0, result.output
    return folder, result


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Forty cells, the last ten without accuracy; less error where there are more weights."""
    params = np.array([costs(SPACE.canonical(arch)).params for arch in ARCHS], dtype=np.float64)
    accuracy = np.where(np.arange(40) < 30, params / params.max(), np.nan)
    path = tmp_path_factory.mktemp("tables") / "t.parquet"
    metrics = {Metric("accuracy"): accuracy, Metric("error"): -params}
    write_table(Table(SPACE.name, "t", [arch.text for arch in ARCHS], metrics), path)
    return path


def test_training_says_how_it_went_and_goes_on(trained, data, tmp_path):
    folder, result = trained
    found = json.loads((folder / "result.json").read_text())
    assert result.stdout.split() == [f"{folder}:", "2", "epochs,", "loss", f"{found['loss']:.4g}", "in", "the", "last"]
    settings = json.loads((folder / "settings.json").read_text())
    assert (settings["space"], settings["width"], settings["dataset"]) == ("nasbench201", 2, str(data))
    copy = shutil.copytree(folder, tmp_path / "copy")
    again = ["supernet", "train", "--dataset", data, "--out", copy, *SMALL]
    assert "holds a run: continue it (--resume)" in refused(run(*again))
    assert run(*again, "--resume").exit_code == 0
    assert (copy / "network.safetensors").read_bytes() == (folder / "network.safetensors").read_bytes()
    assert "is of another run: seed was 0 and is 1" in refused(run(*again, "--resume", "--seed", 1))


def test_cells_are_evaluated_in_the_order_in_which_they_are_given(trained):
    evaluator = OneShotEvaluator(trained[0])
    flags = [word for arch in ARCHS[:3] for word in ("--arch", arch.text)]
    result = run("supernet", "evaluate", trained[0], *flags)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()[1:]]
    for row, arch in zip(rows, ARCHS, strict=False):
        accuracy, loss = evaluator.score(arch)
        assert row == [f"{loss:.4f}", f"{accuracy:.2f}", arch.text]


def test_a_ranking_is_printed_and_kept_with_its_control(trained, table, tmp_path):
    flags = ("--table", table, "--metric", "accuracy", "--sample", 20, "--seed", 4)
    result = run("supernet", "rank", trained[0], *flags, "--out", tmp_path / "rank.json")
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / "rank.json").read_text())
    found = compare(OneShotEvaluator(trained[0]), read_table(table, SPACE.name), "accuracy", sample=20, seed=4)
    assert content["archs"] == [arch.text for arch in found.archs]
    assert content["guess"] == found.guess.tolist()
    for who, figures in found.figures(seed=4).items():
        assert content["figures"][who] == {name: one._asdict() for name, one in figures.items()}
    assert content["figures"]["params"]["kendall_tau"]["value"] == pytest.approx(1)
    lines = result.stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["kendall_tau", "spearman_rho", "regret_1", "regret_10"]
    for line in lines:
        one = content["figures"]["evaluator"][line.split()[0]]
        assert f"{one['value']:.3f} ({one['low']:.3f} to {one['high']:.3f})" in line


def test_less_is_better_where_it_is_said(trained, table, tmp_path):
    flags = ("--table", table, "--metric", "error", "--minimize", "--sample", 20)
    assert run("supernet", "rank", trained[0], *flags, "--out", tmp_path / "rank.json").exit_code == 0
    content = json.loads((tmp_path / "rank.json").read_text())
    assert content["figures"]["params"]["kendall_tau"]["value"] == pytest.approx(1)


def searching(folder, out, *more):
    common = ("--space", SPACE.name, "--strategy", "random", "--budget", 9, "--init", 4, "--batch", 3, "--seed", 5)
    return run("search", *common, "--evaluator", f"supernet:{folder}", "--out", out, *more)


def test_a_search_by_a_supernet_is_the_runners_and_goes_on(trained, tmp_path):
    folder, out = trained[0], tmp_path / "r.json"
    result = searching(folder, out)
    assert result.exit_code == 0, result.output
    evaluator = OneShotEvaluator(folder)
    expected = search(make_strategy("random", SPACE, seed=5), evaluator, budget=9, init=4, batch=3)
    history = read_history(out)
    assert [query.arch for query in history.queries] == [query.arch for query in expected.queries]
    assert history.plan == expected.plan
    assert (history.plan.metrics, history.plan.directions) == (("one_shot_loss",), ("min",))
    assert history.plan.digest == evaluator.digest
    best = min(history.queries, key=lambda query: query.values)
    assert result.stdout.splitlines()[-1].split()[1:] == [f"{best.values[0]:.6g}", best.arch]
    assert "is there already" in refused(searching(folder, out))
    assert searching(folder, out, "--resume", "--budget", 12).exit_code == 0
    longer = search(make_strategy("random", SPACE, seed=5), evaluator, budget=12, init=4, batch=3)
    assert [query.arch for query in read_history(out).queries] == [query.arch for query in longer.queries]


def test_a_record_of_another_supernet_is_not_continued(trained, data, tmp_path):
    out = tmp_path / "r.json"
    assert searching(trained[0], out).exit_code == 0
    other = tmp_path / "other"
    assert run("supernet", "train", "--dataset", data, "--out", other, *SMALL, "--seed", 1).exit_code == 0
    assert "is the record of another search" in refused(searching(other, out, "--resume"))


def test_a_limit_on_costs_is_kept(trained, tmp_path):
    bound = 2e5
    result = searching(trained[0], tmp_path / "r.json", "--limit", f"params<={bound}")
    assert result.exit_code == 0, result.output
    for query in read_history(tmp_path / "r.json").queries:
        assert costs(SPACE.parse(query.arch)).params <= bound


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--evaluator", "elsewhere"), "write supernet:DIR"),
        (("--evaluator", "supernet:"), "write supernet:DIR"),
        (("--evaluator", "supernet:nowhere"), "nowhere holds no run of a supernet"),
        (("--space", "darts"), "holds a supernet of nasbench201: search that space, not darts"),
        (("--limit", "latency<=3"), "a supernet does not measure latency"),
    ],
)
def test_no_search_begins_that_cannot_be_carried_out(trained, tmp_path, flags, message):
    assert message in refused(searching(trained[0], tmp_path / "r.json", *flags))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flags", [("--dataset", "cifar10-valid"), ("--metric", "x"), ("--objective", "params")])
def test_a_supernet_stands_alone(trained, tmp_path, flags):
    result = searching(trained[0], tmp_path / "r.json", *flags)
    assert result.exit_code == 2
    assert "Invalid value for" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("train", "--space", "darts", "--out", "new"), "space: Input should be 'nasbench201'"),
        (("train", "--set", "chances=[0,0,0,0,0]", "--out", "new"), "at least one operation"),
        (("train", "--dataset", "nowhere.npz", "--out", "new"), "no images at 'nowhere.npz'"),
        (("evaluate", "nowhere", "--arch", ARCHS[0].text), "nowhere holds no run of a supernet"),
        (("evaluate", "FOLDER", "--arch", "x"), "not a NAS-Bench-201 cell"),
        (("rank", "FOLDER", "--table", "TABLE", "--metric", "x"), "x"),
        (("rank", "FOLDER", "--table", "TABLE", "--metric", "accuracy"), "300 of 30 rows of t that have accuracy"),
        (("rank", "FOLDER", "--table", "TABLE", "--metric", "accuracy", "--sample", 3), "3 architectures to rank"),
    ],
)
def test_what_cannot_be_done_is_refused(trained, table, tmp_path, monkeypatch, command, message):
    monkeypatch.chdir(tmp_path)
    names = {"FOLDER": trained[0], "TABLE": table}
    assert message in refused(run("supernet", *(names.get(word, word) for word in command)))
    assert list(tmp_path.iterdir()) == []
