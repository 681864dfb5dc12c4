"""`crlso supernet`: searches that survive a kill and equal others in two processes, and nothing lost by wrong input."""

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from typer.testing import CliRunner

from crlso import cli
from crlso.spaces import get_space
from crlso.supernet import derivation
from crlso.supernet.checkpoint import load_state
from crlso.supernet.sources import load_images
from crlso.supernet.standalone import load_network
from crlso.supernet.teachers import plain_teacher

SPACE = "darts-flexible-dnad@3"
ARCH = plain_teacher(get_space(SPACE)).text
PUSHED = {  # deaths in every epoch
    "name": "snps",
    "choice_learning_rate": 20.0,
    "enough": 0.01,
    "controller": {"gamma": 0.3, "growth": 1.2, "rate": 2.0},
}
EPOCHS = 3


def run(*arguments):
    return CliRunner().invoke(cli.app, ["supernet", *map(str, arguments)])


def refused(result):
    """The one line that a refusal prints; a search may have said before how much memory it takes."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    *before, line = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert all(other.startswith("memory: ") for other in before)
    return line


def content(folder):
    """All files below a folder."""
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def data(save_digits, tmp_path_factory):
    """Path of a few digits, beside which lie the same of three classes."""
    folder = tmp_path_factory.mktemp("data")
    save_digits(folder / "three.npz", classes=3)
    return save_digits(folder / "few.npz")


def search_flags(data, *, accumulate=2):
    sizes = {"width": 2, "batch": 16, "epochs": EPOCHS, "accumulate": accumulate, "method": json.dumps(PUSHED)}
    changes = [word for name, value in sizes.items() for word in ("--set", f"{name}={value}")]
    return ["search", "--method", "snps", "--space", SPACE, "--dataset", str(data), *changes]


def train_flags(data):
    return ["retrain", "--dataset", str(data), "--set", "width=2", "--set", "epochs=1"]


@pytest.fixture(scope="module")
def searched(data, tmp_path_factory):
    """Folder of a search, and what it printed."""
    folder = tmp_path_factory.mktemp("searches") / "found"
    result = run(*search_flags(data), "--out", folder)
    assert result.exit_code == 0, result.output
    return folder, result


@pytest.fixture
def found(searched, tmp_path):
    """A copy of it."""
    return shutil.copytree(searched[0], tmp_path / "found")


def table(text):
    """Words of the rows below the head."""
    return [line.split() for line in text.splitlines()[1:]]


def test_a_search_prints_its_front_and_derive_does_again(searched, found):
    folder, result = searched
    front = json.loads((folder / "pareto.json").read_text())["front"]
    assert result.stderr.startswith("memory: about ")
    assert result.stderr.count("\n") == 1, "no bar where there is no terminal"
    *rows, last = table(result.stdout)
    assert [(row[0], row[2]) for row in rows] == [(str(n), f"{r['params']:,}") for n, r in enumerate(front, start=1)]
    assert last[:3] == [f"{folder}:", str(len(front)), "architectures"]
    before = content(found)
    for name in ("pareto.json", "pareto.svg", "arch-1.svg"):
        (found / name).unlink()
    again = run("derive", found)
    assert again.exit_code == 0, again.output
    assert table(again.stdout)[:-1] == rows
    assert content(found) == before


def test_a_search_that_was_killed_ends_in_the_state_of_one_that_was_not(searched, data, tmp_path):
    """By SIGKILL, at some moment after its first checkpoint."""
    command = [*search_flags(data), "--out", str(tmp_path / "killed")]
    checkpoint = tmp_path / "killed" / "checkpoint.safetensors"
    process = subprocess.Popen(
        [sys.executable, "-m", "crlso", "supernet", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not checkpoint.exists():
            assert process.poll() is None
            time.sleep(0.005)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    stopped = load_state(checkpoint)
    assert len(stopped["trace"]) < EPOCHS
    assert run(*command, "--resume").exit_code == 0
    whole, again = (load_state(folder / checkpoint.name) for folder in (searched[0], tmp_path / "killed"))
    assert_same(again, whole)
    assert len(whole["task"]["records"]) > len(stopped["task"]["records"])
    for name in ("pareto.json", "trace.json", "settings.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (searched[0] / name).read_bytes()


def assert_same(found, expected):
    """Bit by bit."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_same(found[name], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for value, other in zip(found, expected, strict=True):
            assert_same(value, other)
    else:
        assert torch.equal(found, expected) if isinstance(expected, torch.Tensor) else found == expected


JOB = """
import json
import sys
from crlso.cli import app
for command in json.loads(sys.argv[1]):
    app(["supernet", *command], standalone_mode=False)
"""


def test_two_processes_equal_one_that_accumulates_two_pieces(searched, data, tmp_path):
    """And a job can train what it found: processes meet again, the first of them writes and speaks."""
    out, trained = tmp_path / "two", tmp_path / "trained"
    commands = [
        [*search_flags(data, accumulate=1), "--out", str(out)],
        [*train_flags(data), "--search", str(out), "--out", str(trained)],
    ]
    (tmp_path / "job.py").write_text(JOB)
    launcher = ["torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node", "2"]
    job = [sys.executable, "-m", *launcher, str(tmp_path / "job.py"), json.dumps(commands)]
    process = subprocess.Popen(job, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        printed, errors = process.communicate(timeout=240)
    finally:
        process.terminate()  # its processes end with it
    assert process.returncode == 0, errors
    one, two = (json.loads((folder / "trace.json").read_text()) for folder in (searched[0], out))
    assert len(one) == len(two) == EPOCHS
    for alone, together in zip(one, two, strict=True):
        assert together["loss"] == pytest.approx(alone["loss"], abs=1e-4)
        assert together["alive"] == alone["alive"]
    found = json.loads((out / "pareto.json").read_text())
    assert found["records"][-1]["epoch"] == EPOCHS - 1
    assert printed.count("supernet's accuracy") == printed.count("test accuracy") == 1
    assert len(list(trained.glob("arch-*/network.safetensors"))) == len(found["front"])


def test_dnad_trains_a_teacher_first_or_takes_one_that_is_there(data, tmp_path):
    changes = ("teacher_width=2", "teacher_epochs=1", "warmup=0")
    flags = [word for change in changes for word in ("--set", f"method.{change}")]
    common = [
        "search",
        "--method",
        "dnad",
        "--space",
        SPACE,
        "--dataset",
        data,
        "--set",
        "width=2",
        "--set",
        "epochs=1",
    ]
    assert run(*common, *flags, "--out", tmp_path / "own").exit_code == 0
    teacher = tmp_path / "own" / "teacher"
    assert json.loads((teacher / "result.json").read_text())["epochs"] == 1
    before = content(teacher)
    assert run(*common, *flags, "--out", tmp_path / "other", "--teacher", teacher).exit_code == 0
    assert content(teacher) == before
    assert not (tmp_path / "other" / "teacher").exists()
    traces = [json.loads((tmp_path / name / "trace.json").read_text()) for name in ("own", "other")]
    assert traces[0] == traces[1], "the teacher is the same, wherever it comes from"
    digest = hashlib.sha256((teacher / "network.safetensors").read_bytes()).hexdigest()
    asked = [json.loads((tmp_path / name / "settings.json").read_text())["teacher"] for name in ("own", "other")]
    assert asked == [None, digest]


def test_a_search_that_ends_in_skips_says_so(searched, data, found, monkeypatch):
    """Half of what is left is much; here any share is."""
    flags = [*search_flags(data), "--out", found, "--resume"]
    assert "collapsed" not in run(*flags).stderr
    monkeypatch.setattr(derivation, "COLLAPSE", 0.0)
    last = json.loads((found / "pareto.json").read_text())["records"][-1]
    warning = f"warning: {last['skips']:.0%} of what is left are skip connections: the search collapsed"
    assert run(*flags).stderr.splitlines()[-1] == warning


def test_a_front_is_trained_and_prints_what_came_of_it(searched, data, tmp_path):
    folder, _ = searched
    out = tmp_path / "trained"
    result = run(*train_flags(data), "--search", folder, "--out", out, "--export", "torch")
    assert result.exit_code == 0, result.output
    front = json.loads((folder / "pareto.json").read_text())["front"]
    rows = table(result.stdout)
    assert len(rows) == len(front)
    for number, (row, record) in enumerate(zip(rows, front, strict=True), start=1):
        place = out / f"arch-{number}"
        found = json.loads((place / "result.json").read_text())
        assert row == [str(place), f"{found['accuracy']:.2f}", f"{found['params']:,}", f"{found['flops']:,}"]
        assert (found["params"], found["flops"]) == (record["params"], record["flops"])
        assert json.loads((place / "settings.json").read_text())["arch"] == record["architecture"]
        images = load_images(data)
        x = torch.randn(3, *images.shape)
        exported = torch.export.load(place / "network.pt2").module()
        with torch.no_grad():
            torch.testing.assert_close(exported(x), load_network(place, images)(x))


def test_a_trained_network_is_exported_to_onnx(data, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    out = tmp_path / "one"
    flags = [*train_flags(data), "--space", SPACE, "--arch", ARCH, "--out", out, "--export", "onnx"]
    assert run(*flags).exit_code == 0
    images = load_images(data)
    x = torch.randn(3, *images.shape)
    (logits,) = runtime.InferenceSession(out / "network.onnx").run(None, {"images": x.numpy()})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(logits), load_network(out, images)(x), rtol=1e-3, atol=1e-3)


def test_one_architecture_is_trained_and_goes_on(data, tmp_path):
    flags = [*train_flags(data), "--space", SPACE, "--arch", ARCH, "--out", tmp_path / "one"]
    first = run(*flags)
    assert first.exit_code == 0, first.output
    before = content(tmp_path / "one")
    assert "continue it (--resume)" in refused(run(*flags))
    again = run(*flags, "--resume")
    assert (again.exit_code, again.stdout) == (0, first.stdout)
    assert content(tmp_path / "one") == before
    assert run(*flags, "--force", "--seed", 1).exit_code == 0
    assert content(tmp_path / "one") != before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "holds a run: continue it (--resume), replace it (--force), or name another"),
        (("--resume", "--force"), "either goes on (--resume) or replaces another (--force)"),
        (("--force", "--device", "cuda:99"), "no device 'cuda:99' here"),
        (("--force", "--device", "abacus"), "there are cpu"),
        (("--force", "--method", "magic"), "unknown method 'magic'; known: darts, dnad, fx-darts, snps"),
        (("--force", "--preset", "huge"), "unknown preset 'huge'; known: cifar, paper, small"),
        (("--force", "--space", "nowhere"), "unknown space 'nowhere'"),
        (("--force", "--space", "nasbench201"), "no flexible space, such as darts-flexible"),
        (("--force", "--dataset", "nowhere.npz"), "no images at 'nowhere.npz': expected 'digits'"),
        (("--force", "--set", "wide=3"), "unknown setting 'wide'; known: accumulate"),
        (("--force", "--set", "method.baseline=0.6"), "method.snps.baseline: Input should be less than 0.5"),
        (("--force", "--set", "method.baseline=0.1"), "take one below 0.0667"),
        (("--resume", "--space", "darts-flexible-dnad@4"), f"space was '{SPACE}' and is 'darts-flexible-dnad@4'"),
        (("--resume", "--seed", 1), "seed was 0 and is 1; resume with its settings, or name another folder"),
        (("--force", "--teacher", "nowhere"), "snps has no teacher, dnad has: leave --teacher out"),
    ],
)
def test_what_can_be_mended_is_one_line_and_nothing_is_lost(found, data, flags, message):
    before = content(found)
    assert message in refused(run(*search_flags(data), "--out", found, *flags))
    assert content(found) == before


def test_a_damaged_checkpoint_is_refused_and_kept(found, data):
    checkpoint = found / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    before = content(found)
    for command in ([*search_flags(data), "--out", found, "--resume"], ["derive", found]):
        assert "cannot be read as a checkpoint" in refused(run(*command))
        assert content(found) == before


def test_a_teacher_whose_shapes_do_not_fit_is_refused_before_anything_is_written(data, tmp_path):
    """It tells three classes apart, the images have ten."""
    three = [*train_flags(data.with_name("three.npz")), "--space", SPACE, "--arch", ARCH, "--out", tmp_path / "t"]
    assert run(*three).exit_code == 0
    flags = ("search", "--method", "dnad", "--space", SPACE, "--dataset", data, "--teacher", tmp_path / "t")
    message = refused(run(*flags, "--out", tmp_path / "new"))
    assert "holds no network trained on images of this shape" in message
    assert "size mismatch for head.2.weight" in message
    assert [path.name for path in tmp_path.iterdir()] == ["t"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--arch", ARCH, "--space", "darts-flexible-dnad@4"), "4 cells"),
        (("--arch", ARCH, "--space", "nowhere"), "unknown space 'nowhere'"),
        (("--arch", ARCH, "--space", SPACE, "--device", "abacus"), "there are cpu"),
        (("--arch", ARCH, "--space", SPACE, "--preset", "huge"), "unknown preset 'huge'; known: cifar, paper, small"),
        (("--arch", ARCH, "--space", SPACE, "--dataset", "nowhere.npz"), "no images at 'nowhere.npz'"),
        (("--arch", ARCH, "--space", SPACE, "--set", "epochs=0"), "epochs: Input should be greater than 0"),
        (("--search", "nowhere"), "nowhere holds no front: crlso supernet derive nowhere makes it"),
    ],
)
def test_no_training_begins_that_cannot_be_carried_out(data, tmp_path, flags, message):
    assert message in refused(run(*train_flags(data), *flags, "--out", tmp_path / "new"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("flags", [(), ("--arch", ARCH, "--search", "somewhere")])
def test_one_of_search_and_architecture_is_trained(data, tmp_path, flags):
    result = run(*train_flags(data), "--out", tmp_path / "new", *flags)
    assert result.exit_code == 2
    assert "give one of the two" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_foreign_folders_are_left_alone(data, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    search = [*search_flags(data), "--out", tmp_path]
    train = [*train_flags(data), "--space", SPACE, "--arch", ARCH, "--out", tmp_path]
    for command in (search, [*search, "--force"], train, [*train, "--force"]):
        assert "holds other things: name a folder of its own" in refused(run(*command))
    assert "cannot be read as a checkpoint" in refused(run("derive", tmp_path))
    assert "is a file: name a folder" in refused(run(*search_flags(data), "--out", tmp_path / "notes.txt"))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("notes.txt", "mine")]


def test_a_training_is_no_search(data, tmp_path):
    folder = tmp_path / "one"
    assert run(*train_flags(data), "--space", SPACE, "--arch", ARCH, "--out", folder).exit_code == 0
    before = content(folder)
    assert "holds no search in a supernet" in refused(run("derive", folder))
    assert "is of another run" in refused(run(*search_flags(data), "--out", folder, "--resume"))
    assert content(folder) == before
