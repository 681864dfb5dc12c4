"""Training alone: resumed runs are undisturbed ones, and the test images say how it went and nothing else."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from crlso.exceptions import ArchitectureError, ProblemError, UnknownNameError
from crlso.spaces import get_space
from crlso.supernet.checkpoint import load_state
from crlso.supernet.data import Images, Part
from crlso.supernet.runs import write_json
from crlso.supernet.sources import load_images
from crlso.supernet.standalone import (
    Training,
    TrainingSettings,
    build_network,
    count_costs,
    load_network,
    train,
)

SPACE = get_space("darts-flexible-dnad@3")
ARCH = SPACE.from_cells([[[("sep_conv_3x3", 0), ("skip_connect", 1)]] * 4] * 3)
CPU = torch.device("cpu")


def settings(**changes):
    small = {"width": 2, "batch": 16, "epochs": 4, "learning_rate": 0.1}
    return TrainingSettings(**{"space": SPACE.name, "arch": ARCH.text, **small, **changes})


def accuracy(network, part, images):
    """In percent, by hand."""
    with torch.no_grad():
        logits = network.eval()((part.x / 255 - images.mean[:, None, None]) / images.std[:, None, None])
    return 100 * float((logits.argmax(dim=1) == part.y).float().mean())


def assert_same(found, expected):
    """Bit by bit."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_same(found[name], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for value, other in zip(found, expected, strict=True):
            assert_same(value, other)
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected)
    else:
        assert found == expected


@pytest.fixture(scope="module")
def whole(few, tmp_path_factory):
    """A training with dropped paths and an auxiliary classifier, its folder as it was halfway, and its result."""
    folder = tmp_path_factory.mktemp("trainings") / "whole"
    stopped = folder.with_name("stopped")

    def keep(count, row):
        if count == 2:
            shutil.copytree(folder, stopped)

    options = settings(drop_path=0.5, auxiliary=0.4, patience=3)
    return options, folder, stopped, train(options, few, folder, CPU, progress=keep)


def test_a_training_that_was_stopped_ends_in_the_state_of_one_that_was_not(whole, few, tmp_path):
    options, folder, stopped, result = whole
    again = tmp_path / "again"
    shutil.copytree(stopped, again)
    torch.manual_seed(99)
    assert train(options, few, again, CPU, resume=True) == result
    states = [load_state(place / "checkpoint.safetensors") for place in (again, folder)]
    assert_same(*states)
    for name in ("network.safetensors", "result.json", "trace.json"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()
    torch.manual_seed(99)
    assert train(options, few, again, CPU, resume=True) == result, "a training that is over stays as it is"


def test_paths_are_dropped_and_the_auxiliary_classifier_learns(whole, few):
    options, folder, _, _ = whole
    trace = json.loads((folder / "trace.json").read_text())
    network = load_file(folder / "network.safetensors")
    torch.manual_seed(options.seed)
    fresh = build_network(ARCH, few, options.width, auxiliary=True).state_dict()
    assert not torch.equal(network["auxiliary.9.weight"], fresh["auxiliary.9.weight"])
    plain = Training(options.model_copy(update={"drop_path": 0.0}), few, CPU)
    losses = [plain.epoch(number)["loss"] for number in range(2)]
    assert losses[0] == trace[0]["loss"], "no path is dropped in the first epoch"
    assert losses[1] != trace[1]["loss"]


def test_the_result_is_what_the_weights_do_on_the_test_images(whole, few):
    _, folder, _, result = whole
    network = load_network(folder, few)
    assert not network.training
    assert result == json.loads((folder / "result.json").read_text())
    assert result["accuracy"] == pytest.approx(accuracy(network, few.test, few))
    assert result["params"] == sum(p.numel() for p in build_network(ARCH, few, 2, auxiliary=False).parameters())
    assert result["epochs"] == len(json.loads((folder / "trace.json").read_text()))


def test_a_loaded_network_computes_what_was_trained(few, batch, tmp_path):
    train(settings(epochs=2, auxiliary=0.0), few, tmp_path / "run", CPU)
    state = load_state(tmp_path / "run" / "checkpoint.safetensors")["task"]["network"]
    own = build_network(ARCH, few, 2, auxiliary=False)
    own.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(load_network(tmp_path / "run", few)(batch[0]), own.eval()(batch[0]))


def test_patience_keeps_the_best_state_and_stops(few, monkeypatch):
    """On accuracies that were made up."""
    task, states = Training(settings(patience=2, epochs=9), few, CPU), []
    accuracies = iter([10.0, 30.0, 30.0, 20.0])
    real = task.score

    def score(batches):
        states.append({name: tensor.clone() for name, tensor in task.network.state_dict().items()})
        return real(batches)._replace(accuracy=next(accuracies))

    monkeypatch.setattr(task, "score", score)
    for number in range(4):
        assert not task.finished
        task.epoch(number)
    assert task.finished
    monkeypatch.undo()
    task.outcome()
    assert_same(dict(task.network.state_dict()), states[1])


def test_without_patience_a_training_goes_to_its_end_in_its_last_state(few):
    task = Training(settings(epochs=2), few, CPU)
    for number in range(2):
        assert task.epoch(number).keys() == {"loss"}
        assert not task.finished
    last = {name: tensor.clone() for name, tensor in task.network.state_dict().items()}
    task.outcome()
    assert_same(dict(task.network.state_dict()), last)
    assert len(task.batches.labels) == len(few.train)


def test_test_images_change_nothing_but_the_outcome(whole, few, tmp_path):
    """Neither do their labels."""
    options, folder, _, result = whole
    other = Images(few.train, Part(few.test.x.flip(2), few.test.y.roll(1)), few.classes, few.mirrored)
    found = train(options, other, tmp_path / "run", CPU)
    for name in ("trace.json", "network.safetensors", "checkpoint.safetensors"):
        assert (tmp_path / "run" / name).read_bytes() == (folder / name).read_bytes()
    assert found["loss"] != result["loss"]


def test_what_patience_scores_on_is_held_out_of_training(few):
    task = Training(settings(patience=1, held_out=0.25), few, CPU)
    assert (len(task.batches.labels), len(task.scored.labels)) == (30, 10)
    assert not any(torch.equal(image, other) for image in task.scored.images for other in task.batches.images)
    assert not any(torch.equal(image, other) for image in task.scored.images for other in few.test.x)


def test_learning_rate_and_drop_path_follow_their_schedules(few):
    task = Training(settings(epochs=4, learning_rate=0.2, drop_path=0.4, auxiliary=0.0), few, CPU)
    seen = []
    for number in range(4):
        task.epoch(number)
        seen.append((task.optimizer.param_groups[0]["lr"], task.network.drop_path))
    rates, dropped = zip(*seen, strict=True)
    assert rates == pytest.approx([0.2 * (1 + np.cos(np.pi * share)) / 2 for share in (0, 0.25, 0.5, 0.75)])
    assert dropped == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_the_loss_is_that_of_both_classifiers(few):
    """An epoch of one batch without augmentation, at a learning rate that leaves the weights alone."""
    one = replace(few, train=Part(few.train.x[:12], few.train.y[:12]))
    options = settings(batch=12, learning_rate=1e-12, weight_decay=0.0, cutout=0.0, smoothing=0.1)
    task = Training(options, one, CPU)
    x, y = next(task.batches.epoch(0))
    network = build_network(ARCH, one, 2, auxiliary=True)
    network.load_state_dict(task.network.state_dict())
    with torch.no_grad():
        logits, auxiliary = network(x)
    smooth = 0.9 * torch.nn.functional.one_hot(y, 10) + 0.1 / 10
    first, second = (-(smooth * part.log_softmax(dim=1)).sum(dim=1).mean() for part in (logits, auxiliary))
    assert task.epoch(0)["loss"] == pytest.approx(float(first + 0.4 * second), rel=1e-5)


def test_it_learns_digits():
    """Some forty steps are enough for three times of what guessing has."""
    digits = load_images("digits")
    images = replace(digits, train=Part(digits.train.x[:320], digits.train.y[:320]))
    task = Training(settings(width=4, batch=32, epochs=4, auxiliary=0.0, drop_path=0.0, cutout=0.0), images, CPU)
    for number in range(4):
        task.epoch(number)
    assert task.outcome().accuracy > 30


def test_architectures_of_other_spaces_have_their_own_networks(few):
    arch = get_space("nasbench201").parse("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")
    network = build_network(arch, few, 99, auxiliary=True)
    assert sum(p.numel() for p in network.parameters()) == count_costs(arch, few, 99).params
    task = Training(
        settings(space="nasbench201", arch=arch.text), replace(few, train=Part(few.train.x[:12], few.train.y[:12])), CPU
    )
    assert np.isfinite(task.epoch(0)["loss"])


def test_networks_for_other_images_are_refused(whole, few):
    _, folder, _, _ = whole
    fewer = Images(Part(few.train.x, few.train.y % 3), Part(few.test.x, few.test.y % 3), ("a", "b", "c"))
    with pytest.raises(ProblemError, match=r"no network trained on images of this shape: .*size mismatch"):
        load_network(folder, fewer)
    coloured = [Part(part.x.expand(-1, 3, -1, -1).contiguous(), part.y) for part in (few.train, few.test)]
    with pytest.raises(ProblemError, match="no network trained on images of this shape"):
        load_network(folder, Images(*coloured, few.classes))


def test_folders_without_a_network_are_refused(few, tmp_path):
    with pytest.raises(ProblemError, match="holds no run of a supernet"):
        load_network(tmp_path, few)
    write_json(tmp_path / "settings.json", settings().model_dump(mode="json"))
    with pytest.raises(ProblemError, match="holds no network"):
        load_network(tmp_path, few)
    save_file({"a": torch.zeros(1)}, tmp_path / "network.safetensors")
    with pytest.raises(ProblemError, match="holds no network"):
        load_network(tmp_path, few)
    (tmp_path / "network.safetensors").write_bytes(b"nonsense")
    with pytest.raises(ProblemError, match="holds no network"):
        load_network(tmp_path, few)
    write_json(tmp_path / "settings.json", {"space": SPACE.name, "method": "snps"})
    with pytest.raises(ProblemError, match="holds no network"):
        load_network(tmp_path, few)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"space": "nowhere"}, UnknownNameError, "darts-flexible"),
        ({"space": "darts-flexible-dnad@4"}, ArchitectureError, "4 cells"),
        ({"arch": "Genotype(normal=[])"}, ArchitectureError, "expected"),
    ],
)
def test_what_is_no_architecture_of_the_space_is_refused_and_nothing_written(few, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        train(settings(**changes), few, tmp_path / "run", CPU)
    assert list(tmp_path.iterdir()) == []
