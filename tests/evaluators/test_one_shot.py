"""A supernet as an evaluator: a value is the architecture's, whoever was evaluated before; twins share it."""

import json
import shutil

import numpy as np
import pytest
import torch

from crlso.evaluators import Evaluator
from crlso.evaluators.one_shot import LOSS, OneShotEvaluator
from crlso.exceptions import DataError, ProblemError
from crlso.spaces import get_space
from crlso.spaces.darts_flexible import cells_of
from crlso.supernet.checkpoint import load_state, save_state
from crlso.supernet.paths import PathScorer, PathSettings, train_paths
from crlso.supernet.searching import SearchSettings, search
from crlso.supernet.sources import load_images
from crlso.supernet.teachers import FOLDER, train_teacher

CPU = torch.device("cpu")
SPACE = get_space("nasbench201")
FLEXIBLE = "darts-flexible-dnad@3"


@pytest.fixture(scope="module")
def data(save_digits, tmp_path_factory):
    """Path of a few digits."""
    return save_digits(tmp_path_factory.mktemp("data") / "few.npz")


@pytest.fixture(scope="module")
def paths(data, tmp_path_factory):
    """Folder of a supernet that was trained by paths."""
    folder = tmp_path_factory.mktemp("paths") / "trained"
    settings = PathSettings(dataset=str(data), width=2, cells=1, batch=8, epochs=2)
    train_paths(settings, load_images(data), folder, CPU)
    return folder


def searched(data, folder, method, **given):
    settings = SearchSettings(space=FLEXIBLE, dataset=str(data), method=method, width=2, batch=16, epochs=2)
    images, teacher = load_images(data), None
    if method["name"] == "dnad":
        teacher = train_teacher(settings, images, folder / FOLDER, CPU)
    search(settings, images, folder, CPU, teacher=teacher, **given)
    return folder


@pytest.fixture(scope="module")
def flexible(data, tmp_path_factory):
    """Folder of a search in which pairs died."""
    pushed = {"gamma": 0.3, "growth": 1.2, "rate": 2.0}
    method = {"name": "snps", "choice_learning_rate": 20.0, "enough": 0.01, "controller": pushed}
    return searched(data, tmp_path_factory.mktemp("searches") / "found", method)


def records(folder):
    return load_state(folder / "checkpoint.safetensors")["task"]["records"]


def test_it_is_an_evaluator(paths):
    found = OneShotEvaluator(paths)
    assert isinstance(found, Evaluator)
    assert (found.name, found.space, found.metrics) == ("trained", "nasbench201", (LOSS,))
    assert found.reference[0] > found.evaluate(SPACE.from_choices((0,) * 6))[0]


def test_the_value_is_the_loss_of_the_canonical_twin(paths, data):
    scorer, found = PathScorer(paths, load_images(data), CPU), OneShotEvaluator(paths)
    for arch in SPACE.sample(8, np.random.default_rng(0)):
        expected = scorer.score(SPACE.choices(SPACE.canonical(arch)))
        assert found.evaluate(arch) == (expected.loss,)
        assert found.score(arch) == expected


def test_twins_share_a_value(paths):
    """0→1 skip, 1→3 conv stands on other weights than 0→3 conv, and is the same function."""
    first, second = SPACE.from_choices((1, 0, 0, 0, 3, 0)), SPACE.from_choices((0, 0, 0, 3, 0, 0))
    assert first == second
    found = OneShotEvaluator(paths)
    assert found.evaluate(first) == found.evaluate(second)


def test_values_do_not_depend_on_who_came_before(paths, flexible):
    space = get_space(FLEXIBLE)
    whole = space.parse(records(flexible)[-1]["architecture"])
    part = space.from_cells([[node[:1] for node in cell] for cell in cells_of(whole)])
    for folder, archs in ((paths, SPACE.sample(5, np.random.default_rng(1))), (flexible, [whole, part])):
        there, back = OneShotEvaluator(folder), OneShotEvaluator(folder)
        values = [there.evaluate(arch) for arch in archs]
        assert len(set(values)) > 1
        torch.manual_seed(7)
        assert [back.evaluate(arch) for arch in reversed(archs)] == values[::-1]
        assert [there.evaluate(arch) for arch in archs] == values


def test_what_stood_at_the_end_of_a_search_has_the_value_of_its_record(flexible):
    last = records(flexible)[-1]
    accuracy, loss = OneShotEvaluator(flexible).score(get_space(FLEXIBLE).parse(last["architecture"]))
    assert (accuracy, loss) == pytest.approx((last["accuracy"], last["loss"]), rel=1e-5)


def test_pairs_that_died_are_refused(flexible):
    space, found = get_space(FLEXIBLE), OneShotEvaluator(flexible)
    alive = load_state(flexible / "checkpoint.safetensors")["task"]["alive"]
    assert not all(map(all, alive))
    whole = space.from_cells(
        [[[(name, at) for name in space.operations for at in range(node)] for node in range(2, 6)]] * space.cells
    )
    with pytest.raises(ProblemError, match="no living"):
        found.evaluate(whole)


def test_a_search_that_distils_brings_its_teacher(data, tmp_path):
    method = {"name": "dnad", "teacher_width": 2, "teacher_epochs": 1}
    folder = searched(data, tmp_path / "distilled", method)
    last = records(folder)[-1]
    assert np.isfinite(OneShotEvaluator(folder).evaluate(get_space(FLEXIBLE).parse(last["architecture"]))[0])
    shutil.rmtree(folder / FOLDER)
    with pytest.raises(ProblemError, match="teacher holds no"):
        OneShotEvaluator(folder)


def test_equal_digests_mean_equal_weights_settings_and_images(paths, data, tmp_path):
    expected = OneShotEvaluator(paths).digest
    assert OneShotEvaluator(shutil.copytree(paths, tmp_path / "copy")).digest == expected

    def changed(name):
        folder = shutil.copytree(paths, tmp_path / name)
        settings = json.loads((folder / "settings.json").read_text())
        return folder, settings

    folder, settings = changed("settings")
    (folder / "settings.json").write_text(json.dumps({**settings, "held_out": 0.3}))
    others = [OneShotEvaluator(folder).digest]
    folder, settings = changed("images")
    with np.load(data) as arrays:
        np.savez(tmp_path / "others.npz", **{**arrays, "x_train": arrays["x_train"][::-1]})
    (folder / "settings.json").write_text(json.dumps({**settings, "dataset": str(tmp_path / "others.npz")}))
    others.append(OneShotEvaluator(folder).digest)
    folder, _ = changed("weights")
    weights = folder / "network.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + bytes([weights.read_bytes()[-1] ^ 1]))
    others.append(OneShotEvaluator(folder).digest)
    assert len({expected, *others}) == 4


def test_supernets_of_one_space_score_by_their_mean(paths, flexible, data, tmp_path):
    deep = tmp_path / "deep"
    settings = PathSettings(dataset=str(data), width=2, cells=2, batch=8, epochs=1, seed=1)
    train_paths(settings, load_images(data), deep, CPU)
    single, both = [OneShotEvaluator(folder) for folder in (paths, deep)], OneShotEvaluator(paths, deep)
    for arch in SPACE.sample(3, np.random.default_rng(0)):
        accuracies, losses = zip(*(one.score(arch) for one in single), strict=True)
        assert both.score(arch) == pytest.approx((np.mean(accuracies), np.exp(np.mean(np.log(losses)))))
    assert both.name == "trained+deep"
    assert len({both.digest, *(one.digest for one in single)}) == 3
    with pytest.raises(ProblemError, match=r"trained of nasbench201, .*found of darts-flexible-dnad@3"):
        OneShotEvaluator(paths, flexible)


def test_what_is_no_supernet_of_the_architecture_is_refused(paths, flexible, tmp_path):
    with pytest.raises(ProblemError, match=r"a supernet of nasbench201, and .* is of darts-flexible-dnad@3"):
        OneShotEvaluator(paths).evaluate(get_space(FLEXIBLE).sample(1, np.random.default_rng(0))[0])
    with pytest.raises(ProblemError, match="holds no run"):
        OneShotEvaluator(tmp_path)
    broken = shutil.copytree(flexible, tmp_path / "broken")
    save_state(broken / "checkpoint.safetensors", {"other": 1})
    with pytest.raises(ProblemError, match="holds no search in a supernet"):
        OneShotEvaluator(broken)
    moved = shutil.copytree(paths, tmp_path / "moved")
    settings = json.loads((moved / "settings.json").read_text())
    (moved / "settings.json").write_text(json.dumps({**settings, "dataset": "nowhere.npz"}))
    with pytest.raises(DataError, match="no images at"):
        OneShotEvaluator(moved)
