"""`crlso train` and `crlso optimize`: results on stdout, one line on stderr and exit code 2 for what can be mended."""

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import crlso
from crlso import cli
from crlso.search.problem import Answer
from crlso.spaces import get_space
from crlso.tables import Metric, Table, write_table

SPACE = get_space("nasbench201")
TINY = [
    f"--set={change}"
    for change in ("epochs=2", "latent=3", "hidden=8", "decoder_hidden=8", "icnn_hidden=4", "members=1", "batch=1024")
]
QUICK = ("--num-starts", 16, "--num-steps", 10)


def run(*arguments):
    return CliRunner().invoke(cli.app, list(map(str, arguments)))


def refused(result):
    """The one line that a refusal prints."""
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture
def parquet(tmp_path):
    """Twenty cells."""
    archs = SPACE.sample(20, np.random.default_rng(0))
    metrics = {Metric("accuracy"): np.linspace(80, 90, 20), Metric("loss", "min"): np.linspace(0, 1, 20)}
    write_table(Table(SPACE.name, "mine", [arch.text for arch in archs], metrics), tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_train_makes_a_bundle_with_the_settings_asked_for(parquet, tmp_path):
    out = tmp_path / "m"
    common = ("train", "--space", SPACE.name, "--table", parquet, "--out", out, *TINY)
    result = run(*common, "--metric", "loss", "--labels", 12, "--seed", 4)
    assert result.exit_code == 0, result.output
    assert result.stderr == "", "no bar where there is no terminal"
    model = crlso.load_bundle(out)
    assert result.stdout.splitlines()[-1] == f"digest {model.digest}"
    assert all(f"{name} {value:.4f}" in result.stdout for name, value in model.manifest["quality"].items())
    assert (model.vae.config.epochs, model.vae.config.latent, model.vae.config.members) == (2, 3, 1)
    training = model.manifest["training"]
    assert (model.metric.name, training["labels"], training["seed"]) == ("loss", 12, 4)
    assert "--force" in refused(run(*common))
    assert crlso.load_bundle(out).digest == model.digest


def test_train_passes_on_what_it_is_told(parquet, tmp_path, monkeypatch):
    told = {}

    def train(table, out, **options):
        told.update(options, table=table, out=out)
        raise crlso.exceptions.BundleError("enough")

    monkeypatch.setattr(cli.crlso, "train", train, raising=False)
    flags = ("--holdout", 0.2, "--resume", "--force", "--device", "cuda:1", "--preset", "paper", "--set", "latent=4")
    refused(run("train", "--space", SPACE.name, "--table", parquet, "--out", "x", *flags))
    assert told["table"].name == "mine"
    assert str(told["out"]) == "x"
    assert (told["holdout"], told["resume"], told["overwrite"], told["device"]) == (0.2, True, True, "cuda:1")
    assert (told["metric"], told["labels"], told["seed"]) == (None, None, 0)
    assert (told["config"].objective, told["config"].latent) == ("cr-lso", 4)
    refused(run("train", "--space", SPACE.name, "--dataset", "cifar10", "--out", "x"))
    assert (told["table"].name, len(told["table"])) == ("cifar10", 15_625)
    assert told["config"] == crlso.LatentConfig()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "epoch=3"), "unknown setting 'epoch'; known: batch, betas"),
        (("--set", "epochs=none"), "settings out of range: epochs"),
        (("--preset", "best"), "unknown preset 'best'; known: default, large, listed, paper"),
        (("--metric", "speed"), "unknown metric 'speed'; known: accuracy, loss"),
        (("--labels", 21), "20 labels to train on, of 20 measured rows: needed are 21"),
        (("--holdout", 0.9), "2 labels to train on, of 20 measured rows: needed are 10 and a smaller holdout"),
        (("--resume",), "train without --resume"),
        (("--device", "banana"), "device 'banana' cannot be used"),
        (("--space", "nasbench999"), "holds architectures of space nasbench201, not nasbench999"),
        (("--table", "nowhere.csv"), "nowhere.csv: no such file"),
        (("--out", "."), "is there already and is no bundle"),
    ],
)
def test_train_refuses_in_one_line_and_leaves_nothing(parquet, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = run("train", "--space", SPACE.name, "--table", parquet, "--out", "m", *TINY, *arguments)
    assert message in refused(result)
    assert [path.name for path in tmp_path.iterdir()] == [parquet.name]


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "--space", "nasbench201", "--out", "m"),
        ("train", "--space", "nasbench201", "--out", "m", "--dataset", "cifar10", "--table", "t.csv"),
        ("train", "--dataset", "cifar10", "--out", "m"),
        ("train", "--space", "nasbench201", "--dataset", "cifar10", "--out", "m", "--holdout", "1"),
        ("train", "--space", "nasbench201", "--dataset", "cifar10", "--out", "m", "--labels", "0"),
        ("train", "--space", "nasbench201", "--dataset", "cifar10", "--out", "m", "--seed", str(2**63)),
        ("optimize",),
        ("optimize", "m", "-n", "0"),
        ("optimize", "m", "--colour", "blue"),
    ],
)
def test_wrong_usage_has_the_same_exit_code(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage" in result.stderr
    assert "Traceback" not in result.output


def test_an_unknown_dataset_lists_the_known_ones(tmp_path):
    result = run("train", "--space", SPACE.name, "--dataset", "mnist", "--out", tmp_path / "m")
    assert "known: cifar10, cifar100, imagenet16" in refused(result)


def test_optimize_prints_a_row_for_each_proposal(bundle, model):
    result = run("optimize", bundle, *QUICK, "-n", 3)
    assert result.exit_code == 0, result.output
    header, *rows, summary = result.stdout.splitlines()
    assert header.split() == ["predicted", "±", "std", "f(z)", "measured", "params", "flops", "architecture"]
    problem = crlso.Problem(num_architectures=3, num_starts=16, num_steps=10)
    answer = crlso.optimize(model, problem)
    for rank, (row, found) in enumerate(zip(rows, answer.proposals, strict=True), start=1):
        cells = row.split()
        assert cells[:2] == [str(rank), f"{found.predicted.mean:.3f}"]
        assert cells[-3:] == [f"{found.params:,}", f"{found.flops:,}", found.architecture]
    assert summary.startswith(f"{answer.visited} architectures visited; accuracy at the maximiser")


def test_optimize_as_json_is_the_answer(bundle, model):
    chosen = model.known[0].text
    result = run("optimize", bundle, *QUICK, "--json", "--limit", "params<=4e5", "--start-from", chosen, "--seed", 3)
    assert result.exit_code == 0, result.output
    answer = Answer.model_validate_json(result.stdout)
    constraint = crlso.Constraint(metric="params", max=4e5)
    problem = crlso.Problem(constraints=(constraint,), num_starts=16, num_steps=10, start_from=(chosen,), seed=3)
    expected = crlso.optimize(model, problem)
    assert json.loads(result.stdout).keys() == expected.model_dump().keys()
    assert answer.model_copy(update={"elapsed_ms": 0}) == expected.model_copy(update={"elapsed_ms": 0})
    excluded = run("optimize", bundle, *QUICK, "--json", "--exclude", answer.proposals[0].architecture)
    texts = [proposal.architecture for proposal in Answer.model_validate_json(excluded.stdout).proposals]
    assert answer.proposals[0].architecture not in texts


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--limit", "params<1"), "'params<1' is no limit: write one as params<=400000"),
        (("--limit", "params<=1"), "no architecture of nasbench201 keeps all limits; there are params from"),
        (("--limit", "speed<=1"), "limits are on params, flops, accuracy"),
        (("--start-from", "resnet"), "not a NAS-Bench-201 cell: 'resnet'"),
        (("--exclude", "resnet"), "not a NAS-Bench-201 cell: 'resnet'"),
        (("--num-starts", 2000), "num_starts: Input should be less than or equal to 1024"),
    ],
)
def test_optimize_refuses_in_one_line(bundle, arguments, message):
    assert message in refused(run("optimize", bundle, *QUICK, *arguments))


def test_optimize_needs_a_bundle(tmp_path):
    assert "is no bundle" in refused(run("optimize", tmp_path / "nowhere"))


def test_the_module_train_is_the_command():
    process = subprocess.run([sys.executable, "-m", "crlso.train", "--help"], capture_output=True, text=True)
    assert process.returncode == 0
    assert "crlso train" in process.stdout
    assert "--holdout" in process.stdout
