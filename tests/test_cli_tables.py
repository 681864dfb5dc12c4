"""`crlso tables`: results on stdout, one line on stderr and exit code 2 for what the user can mend."""

import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from crlso import cli
from crlso.exceptions import TableError
from crlso.spaces import get_space
from crlso.tables import Metric, Table, read_table, write_table

TEXTS = [arch.text for _, arch in zip(range(3), get_space("nasbench201").enumerate(), strict=False)]
TABLE = Table("nasbench201", "mine", TEXTS, {
    Metric("error [%]", "min", "percent", 12, "[bold]us"): np.array([3.0, 1.0, 2.0]),
    Metric("speed", "max", "1/s"): np.array([4.0, 8.0, np.nan]),
})  # fmt: skip


def run(*arguments):
    return CliRunner().invoke(cli.app, ["tables", *map(str, arguments)])


def refused(result):
    """The one line that a refusal prints."""
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture
def parquet(tmp_path):
    write_table(TABLE, tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_list_names_what_show_accepts():
    listed = [line.split()[:2] for line in run("list").stdout.splitlines()[1:]]
    assert listed == [["nasbench201", name] for name in ("cifar10", "cifar100", "imagenet16")]
    assert run("show", *listed[0], "--top", 1).exit_code == 0


def test_show_prints_metrics_and_the_best_by_the_first(parquet):
    result = run("show", "nasbench201", parquet, "--top", 2)
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["error", "[%]", "min", "percent", "12", "3", "1", "2", "3", "[bold]us"] in lines
    assert ["speed", "max", "1/s", "2", "4", "6", "8"] in lines
    assert ["digest", TABLE.digest] in lines
    assert lines[-2:] == [["1", "1", TEXTS[1]], ["2", "2", TEXTS[2]]]


def test_show_restricts_to_the_metrics_asked_for(parquet):
    result = run("show", "nasbench201", parquet, "--metric", "speed")
    assert "error" not in result.stdout
    assert [line.split()[2] for line in result.stdout.splitlines()[-2:]] == [TEXTS[1], TEXTS[0]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "nasbench201", "cifar11"), "known: cifar10, cifar100, imagenet16"),
        (("show", "nasbench999", "cifar10"), "nasbench201"),
        (("show", "nasbench201", "cifar10", "--metric", "speed"), "known: latency, train_seconds, val_accuracy"),
        (("show", "nasbench201", "nowhere.csv"), "no such file"),
        (("import", "nowhere.pth", "--out", "x.parquet"), "no such file"),
        (("import", "nowhere.pth", "--out", "x.csv"), "ends in .parquet"),
    ],
)
def test_what_the_user_can_mend_is_one_line(arguments, message):
    assert message in refused(run(*arguments))


@pytest.mark.parametrize("arguments", [("sow",), ("show",), ("show", "nasbench201", "cifar10", "--top", "-1")])
def test_wrong_usage_has_the_same_exit_code(arguments):
    assert run(*arguments).exit_code == 2


def test_import_writes_what_was_read(monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "import_official", lambda path, progress: progress(1, 2) or TABLE)
    out = tmp_path / "out.parquet"
    result = run("import", "x.pth", "--out", out)
    assert result.exit_code == 0, result.output
    assert read_table(out).digest == TABLE.digest
    assert "already" in refused(run("import", "x.pth", "--out", out))
    assert run("import", "x.pth", "--out", out, "--force").exit_code == 0


def test_a_failed_import_leaves_nothing_behind(monkeypatch, tmp_path):
    def fail(path, progress):
        raise TableError("damaged\nin two lines")

    monkeypatch.setattr(cli, "import_official", fail)
    assert "damaged in two lines" in refused(run("import", "x.pth", "--out", tmp_path / "out.parquet"))
    assert list(tmp_path.iterdir()) == []


def test_module_and_command_are_the_same():
    process = subprocess.run(
        [sys.executable, "-m", "crlso", "tables", "show", "nasbench201", "nope"], capture_output=True, text=True
    )
    assert process.returncode == 2
    assert process.stdout == ""
    assert process.stderr == "error: unknown table of nasbench201 'nope'; known: cifar10, cifar100, imagenet16\n"
