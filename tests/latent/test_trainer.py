"""A training that was stopped and one that was not end in the same bits."""

import pytest
import torch

from crlso.exceptions import BundleError
from crlso.latent.config import LatentConfig
from crlso.latent.trainer import Trainer
from crlso.latent.vae import GraphVAE
from crlso.spaces.nasbench201 import NasBench201

SPACE = NasBench201()
OBJECTIVES = pytest.mark.parametrize("objective", ["volume-matched", "cr-lso"])


class KilledError(Exception):
    pass


@pytest.fixture
def make(forest, targets):
    """Makes a trainer over freshly initialised networks."""

    def make(objective="volume-matched", seed=0, identity="", **changes):
        settings = {"latent": 3, "hidden": 12, "decoder_hidden": 12, "icnn_hidden": 6, "members": 2, "batch": 64}
        config = LatentConfig(objective=objective, **{**settings, "epochs": 4, **changes})
        torch.manual_seed(0)
        vae = GraphVAE(config, SPACE.schema)
        return Trainer(vae, targets, forest, seed, torch.device("cpu"), identity)

    return make


def kill_after(epochs):
    def progress(epoch, losses):
        if epoch == epochs:
            raise KilledError

    return progress


def assert_same_weights(one, other):
    ours, theirs = one.model.state_dict(), other.model.state_dict()
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


@OBJECTIVES
@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
@pytest.mark.parametrize("stop", [1, 3])
def test_resumed_weights_are_those_of_an_undisturbed_training(make, tmp_path, objective, schedule, stop):
    whole, killed, resumed = (make(objective, schedule=schedule) for _ in range(3))
    whole.fit()
    with pytest.raises(KilledError):
        killed.fit(tmp_path / "c.pt", kill_after(stop))
    torch.rand(7)  # whatever happens to the global generator in between
    resumed.resume(tmp_path / "c.pt")
    assert resumed.epoch == stop
    resumed.fit(tmp_path / "c.pt")
    assert_same_weights(resumed, whole)


def test_a_finished_training_resumes_to_itself(make, tmp_path):
    whole, again = make(), make()
    whole.fit(tmp_path / "c.pt")
    again.resume(tmp_path / "c.pt")
    again.fit(tmp_path / "c.pt", kill_after(1))
    assert_same_weights(again, whole)


def test_the_seed_decides(make):
    one, same, other = make(), make(), make(seed=1)
    for trainer in (one, same, other):
        trainer.fit()
    assert_same_weights(one, same)
    assert not torch.equal(one.model.head.direction.weight, other.model.head.direction.weight)


@OBJECTIVES
def test_training_lowers_what_it_is_for(make, objective):
    seen = []
    trainer = make(objective, epochs=12, learning_rate=1e-2)
    trainer.fit(progress=lambda epoch, losses: seen.append((epoch, losses)))
    assert [epoch for epoch, _ in seen] == list(range(1, 13))
    (_, first), (_, last) = seen[0], seen[-1]
    assert last["reconstruction"] < 0.9 * first["reconstruction"]
    assert last["score"] < first["score"]
    assert "cost" in last
    assert not trainer.model.training


def test_the_tessellation_waits_for_a_quarter_of_the_training(make):
    trainer = make(epochs=8)
    active = []
    for epoch in range(8):
        trainer.epoch = epoch
        active.append(trainer._active("tessellation"))
        assert trainer._active("radius")
    assert active == [False] * 2 + [True] * 6


def test_a_batch_larger_than_the_population_is_all_of_it(make):
    trainer = make(batch=1_000, epochs=1)
    assert trainer.steps == 1
    trainer.fit()


def test_concave_weights_do_not_decay(make):
    """Decay would pull logarithms of weights to zero, hence weights to one."""
    trainer = make()
    rest, concave = trainer.optimizer.param_groups
    assert (rest["weight_decay"], concave["weight_decay"]) == (1e-2, 0.0)
    assert len(concave["params"]) == len(list(trainer.model.ensemble.parameters()))
    assert len(rest["params"]) + len(concave["params"]) == len(list(trainer.model.parameters()))


def test_the_cost_heads_know_their_unit(make, targets):
    model = make().model
    assert torch.equal(model.cost_center, targets.cost_center)
    assert torch.equal(model.cost_scale, targets.cost_scale)


def test_a_checkpoint_of_another_training_is_refused(make, tmp_path):
    make(identity="mine").fit(tmp_path / "c.pt")
    with pytest.raises(BundleError, match=r"c\.pt.*other data, settings or seed.*train without --resume"):
        make(identity="yours").resume(tmp_path / "c.pt")
    with pytest.raises(BundleError, match="does not continue this training"):
        make(identity="mine", hidden=13).resume(tmp_path / "c.pt")


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "foreign", "changed"])
def test_a_damaged_checkpoint_is_refused(make, tmp_path, damage):
    path = tmp_path / "c.pt"
    make().fit(path)
    content = path.read_bytes()
    damaged = {
        "empty": b"",
        "truncated": content[: len(content) // 2],
        "foreign": b"PK\3\4 something else",
        "changed": content.replace(b"optimizer", b"optimiser"),
    }
    path.unlink()
    if damage != "missing":
        path.write_bytes(damaged[damage])
    with pytest.raises(BundleError, match=r"c\.pt.*train without --resume"):
        make().resume(path)


def test_a_checkpoint_runs_no_code(make, tmp_path):
    class Hostile:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    torch.save({"identity": "", "model": Hostile()}, tmp_path / "c.pt")
    with pytest.raises(BundleError, match="train without --resume"):
        make().resume(tmp_path / "c.pt")
    assert not (tmp_path / "ran").exists()


def test_a_checkpoint_is_replaced_in_one_step(make, tmp_path, monkeypatch):
    """A training killed while it writes leaves the epoch before."""
    trainer, path = make(), tmp_path / "c.pt"
    with pytest.raises(KilledError):
        trainer.fit(path, kill_after(1))

    def die(state, file):
        file.write_bytes(b"half")
        raise KilledError

    monkeypatch.setattr(torch, "save", die)
    with pytest.raises(KilledError):
        trainer.fit(path)
    resumed = make()
    resumed.resume(path)
    assert resumed.epoch == 1
