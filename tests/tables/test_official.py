"""The import of the official file agrees with its own API and reads nothing that could run."""

import pickle
import random

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nas_201_api import ArchResults, NASBench201API, ResultsCount

from crlso.exceptions import TableError
from crlso.spaces import get_space
from crlso.tables import import_official

TEXTS = [arch.text for _, arch in zip(range(4), get_space("nasbench201").enumerate(), strict=False)]
SETS = {
    "cifar10-valid": ("x-valid", "ori-test"),
    "cifar10": ("ori-test",),
    "cifar100": ("ori-test", "x-valid", "x-test"),
    "ImageNet16-120": ("ori-test", "x-valid", "x-test"),
}


def trial(dataset, seed, epochs, text, rng):
    """One training in the official layout: curves as dicts of epochs, costs as numpy numbers."""
    curves = [{epoch: rng.random() for epoch in range(epochs)} for _ in range(4)]
    config = {"channel": 16, "num_cells": 5, "arch_str": text, "class_num": 10}
    result = ResultsCount(dataset, None, curves[0], curves[1], np.float64(0.07), 7.8, config, seed, epochs, [0.01])
    result.update_train_info(*curves)
    keys = [f"{name}@{epoch}" for name in SETS[dataset] for epoch in range(epochs)]
    result.update_eval(*({key: 100 * rng.random() for key in keys} for _ in range(3)))
    return result


def official(seeds=((777, 888), (777,), (888, 999)), short=("cifar10-valid",)):
    """Three of four cells measured, with two, one and two trials; 12 epochs on one data set only, as in v1.0."""
    rng, infos = random.Random(0), {}
    for index, of_cell in enumerate(seeds):
        infos[index] = {}
        for schedule, epochs, datasets in (("full", 200, SETS), ("less", 12, short)):
            result = ArchResults(index, TEXTS[index])
            for dataset in datasets:
                for seed in of_cell:
                    result.update(dataset, seed, trial(dataset, seed, epochs, TEXTS[index], rng))
            infos[index][schedule] = result.state_dict()
    return {"meta_archs": TEXTS, "total_archs": 4, "arch2infos": infos, "evaluated_indexes": set(infos)}


@pytest.fixture(scope="module")
def content():
    return official()


@pytest.fixture(scope="module", params=[True, False], ids=["zip", "legacy"])
def path(request, content, tmp_path_factory):
    path = tmp_path_factory.mktemp("official") / "NAS-Bench-201-v1_9.pth"
    torch.save(content, path, _use_new_zipfile_serialization=request.param)
    return path


def test_means_are_those_of_the_official_api(path, content):
    table, api = import_official(path), NASBench201API(content, verbose=False)
    assert table.texts == tuple(TEXTS[:3])
    assert len(table.metrics) == 9 + 2
    for ours, theirs in (("cifar10", "cifar10-valid"), ("cifar100", "cifar100"), ("imagenet16", "ImageNet16-120")):
        for row in range(3):
            info = api.get_more_info(row, theirs, hp="200", is_random=False)
            assert table.column(f"{ours}_val_accuracy")[row] == pytest.approx(info["valid-accuracy"])
            assert table.column(f"{ours}_train_seconds")[row] == pytest.approx(info["train-all-time"])
            info = api.get_more_info(row, ours if ours == "cifar10" else theirs, hp="200", is_random=False)
            assert table.column(f"{ours}_test_accuracy")[row] == pytest.approx(info["test-accuracy"])
    short = [api.get_more_info(row, "cifar10-valid", hp="12", is_random=False) for row in range(3)]
    assert table.column("cifar10_val_accuracy_12ep") == pytest.approx([info["valid-accuracy"] for info in short])
    assert table.column("cifar10_train_seconds_12ep") == pytest.approx([info["train-all-time"] for info in short])


def test_trials_are_in_the_order_of_seeds_and_metrics_are_described(path, content):
    table = import_official(path)
    trials = table.trials("cifar100_val_accuracy")
    last = content["arch2infos"][2]["full"]["all_results"]
    assert trials[2].tolist() == [last["cifar100", seed]["eval_acc1es"]["x-valid@199"] for seed in (888, 999)]
    assert np.isnan(trials).tolist() == [[False, False], [False, True], [False, False]]
    assert {(m.name.endswith("_12ep"), m.fidelity) for m in table.metrics} == {(False, 200), (True, 12)}
    assert {(m.unit, m.direction) for m in table.metrics} == {("percent", "max"), ("s", "min")}
    assert table.name == "NAS-Bench-201-v1_9"
    assert all(metric.source == path.name for metric in table.metrics)


def test_progress_counts_up_to_the_size(path):
    calls = []
    import_official(path, lambda done, total: calls.append((done, total)))
    done, totals = zip(*calls, strict=True)
    assert list(done) == sorted(done)
    assert 0.9 * totals[0] < done[-1] <= totals[0] <= path.stat().st_size
    assert len(calls) == 5 * (4 + 1)  # trials


def test_only_evaluated_cells_are_rows(tmp_path, content):
    torch.save({**content, "evaluated_indexes": [2]}, tmp_path / "x.pth")
    assert import_official(tmp_path / "x.pth").texts == (TEXTS[2],)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15, deadline=None)
def test_truncated_files_are_refused(tmp_path, path, data):
    whole = path.read_bytes()
    (tmp_path / "x.pth").write_bytes(whole[: data.draw(st.integers(0, len(whole) // 4))])
    with pytest.raises(TableError, match=r"x\.pth"):
        import_official(tmp_path / "x.pth")


class Foreign:
    pass


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(("value", "name"), [(Foreign(), "Foreign"), (torch.zeros(2), "torch._utils")])
def test_a_foreign_global_is_refused_by_name(tmp_path, zipped, value, name):
    torch.save({"meta_archs": value}, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(TableError, match=rf"x\.pth: .*names .*{name}.*official source"):
        import_official(tmp_path / "x.pth")


@pytest.mark.parametrize("other", [{"state_dict": {}}, [1, 2], {"meta_archs": TEXTS, "arch2infos": {}}])
def test_other_torch_files_are_refused(tmp_path, other):
    torch.save(other, tmp_path / "x.pth")
    with pytest.raises(TableError, match=r"NAS-Bench-201-v1_\*\.pth"):
        import_official(tmp_path / "x.pth")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.pth").write_bytes(pickle.dumps({"meta_archs": []}))
    with pytest.raises(TableError, match=r"torch\.save"):
        import_official(tmp_path / "x.pth")
    with pytest.raises(TableError, match="no such file"):
        import_official(tmp_path / "y.pth")


def test_schedules_are_what_their_names_say(tmp_path):
    wrong = official(seeds=((777,),))
    wrong["arch2infos"][0]["full"] = wrong["arch2infos"][0]["less"]
    torch.save(wrong, tmp_path / "x.pth")
    with pytest.raises(TableError, match="12 epochs where 200 were expected"):
        import_official(tmp_path / "x.pth")
