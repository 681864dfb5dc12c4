"""From a table to a bundle: what is seen and what is not, the same bits again, and nothing left behind by a failure."""

import shutil

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from crlso import spaces
from crlso.exceptions import BundleError, ProblemError, UnknownNameError
from crlso.latent.bundle import load_bundle
from crlso.latent.config import LatentConfig
from crlso.search.ascent import optimize
from crlso.search.problem import Constraint, Problem
from crlso.spaces import get_space
from crlso.tables import Metric, Table
from crlso.training import train

SPACE = get_space("nasbench201")
TINY = LatentConfig(
    latent=3, hidden=8, decoder_hidden=8, icnn_hidden=4, members=2, batch=512, epochs=2, learning_rate=2e-2
)


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def table(accuracy):
    """300 cells; `error` is the negative of `accuracy`, and the last 20 rows have no measurement of either."""
    archs = SPACE.sample(300, np.random.default_rng(0))
    values = np.array([accuracy(arch) for arch in archs])
    values[-20:] = np.nan
    accuracies, other = Metric("accuracy", "max", "percent"), np.arange(300.0)
    columns = {accuracies: values, Metric("error", "min"): -values, Metric("other"): other}
    return Table(SPACE.name, "made-up", [arch.text for arch in archs], columns)


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    """A training that nothing disturbed."""
    path = tmp_path_factory.mktemp("training") / "m"
    seen = []
    model = train(table, path, config=TINY, holdout=0.25, progress=lambda epoch, losses: seen.append((epoch, losses)))
    return path, model, seen


def test_the_model_is_what_the_bundle_holds(trained, table):
    path, model, _ = trained
    assert load_bundle(path).digest == model.digest
    assert (model.name, model.space.name, model.metric) == ("m", SPACE.name, Metric("accuracy", "max", "percent"))
    assert len(model.known) == 4_930
    assert model.vae.config == TINY
    assert [file.name for file in path.parent.iterdir()] == ["m"], "the state of the training is gone"
    assert [metric.name for metric in model.table.metrics] == ["accuracy"]


def test_the_bundle_knows_the_measurements_of_all_rows(trained, table):
    _, model, _ = trained
    for text, value in zip(table.texts, table.column("accuracy"), strict=True):
        assert model.measured(SPACE.parse(text)) == (None if np.isnan(value) else value)


def test_the_manifest_says_how_it_came_about(trained):
    _, model, seen = trained
    assert model.manifest["table"] == "made-up"
    assert model.manifest["training"].keys() == {"seed", "labels", "holdout", "data"}
    assert (model.manifest["training"]["labels"], model.manifest["training"]["holdout"]) == (210, 0.25)
    assert model.manifest["versions"].keys() == {"crlso", "torch", "torch-geometric", "numpy"}
    assert [epoch for epoch, _ in seen] == [1, 2]
    assert all(np.isfinite(list(losses.values())).all() for _, losses in seen)


def test_quality_is_measured_on_seen_and_unseen_rows(trained):
    quality = trained[1].manifest["quality"]
    assert quality.keys() == {"reconstruction", "tau_seen", "tau_unseen", "tau_new_classes"}
    assert 0 <= quality["reconstruction"] <= 1
    assert all(-1 <= quality[name] <= 1 for name in ("tau_seen", "tau_unseen", "tau_new_classes"))


def test_the_same_seed_gives_the_same_bytes_whatever_the_global_generator_is_at(trained, table, tmp_path):
    path, model, _ = trained
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    again = train(table, tmp_path / "m", config=TINY, holdout=0.25)
    assert torch.equal(torch.rand(3), expected), "and it is left there"
    assert again.digest == model.digest
    for file in path.iterdir():
        assert (tmp_path / "m" / file.name).read_bytes() == file.read_bytes()


def test_a_killed_training_resumes_to_the_same_digest(trained, table, tmp_path):
    def kill(epoch, losses):
        raise KilledError

    with pytest.raises(KilledError):
        train(table, tmp_path / "m", config=TINY, holdout=0.25, progress=kill)
    assert not (tmp_path / "m").exists()
    with pytest.raises(BundleError, match="other data, settings or seed"):
        train(table, tmp_path / "m", config=TINY, holdout=0.25, seed=1, resume=True)
    torch.rand(5)
    epochs = []
    resumed = train(
        table, tmp_path / "m", config=TINY, holdout=0.25, resume=True, progress=lambda epoch, _: epochs.append(epoch)
    )
    assert epochs == [2]
    assert resumed.digest == trained[1].digest
    assert [file.name for file in tmp_path.iterdir()] == ["m"]


def test_less_is_better_is_more_is_better_negated(trained, table, tmp_path):
    model = trained[1]
    less = train(table, tmp_path / "m", metric="error", config=TINY, holdout=0.25)
    assert less.metric.direction == "min"
    assert torch.equal(less.latents, model.latents)
    assert torch.equal(less.predict(less.latents)[0], -model.predict(model.latents)[0])
    assert less.manifest["quality"] == model.manifest["quality"]


@pytest.mark.parametrize(
    ("fields", "labels"),
    [({"labels": 50}, 50), ({"labels": 50, "holdout": 0.5}, 50), ({"holdout": 0.9}, 28), ({}, 280)],
)
def test_labels_and_holdout_are_counted_in_measured_rows(table, tmp_path, monkeypatch, fields, labels):
    def seen_by(rows):
        raise KilledError(int((rows > 0).sum()), int(rows.sum()))

    monkeypatch.setattr("crlso.training._fit", lambda population, known, *rest: seen_by(known.counts))
    with pytest.raises(KilledError) as caught:
        train(table, tmp_path / "m", **fields)
    classes, rows = caught.value.args
    assert rows == labels
    assert classes <= rows


def test_calibration_sees_the_measured_values_alone(trained, table):
    """Predictions are in the metric's unit and within what was measured."""
    _, model, _ = trained
    mean, _ = model.predict(model.latents)
    values = table.column("accuracy")
    assert np.nanmin(values) - 5 < mean.mean() < np.nanmax(values)
    assert mean.max() <= np.nanmax(values)


def test_most_classes_labelled_need_no_teacher(accuracy, tmp_path, monkeypatch):
    def forbidden(*args):
        raise AssertionError("the teacher was asked")

    monkeypatch.setattr("crlso.training.teach", forbidden)
    archs = list(set(SPACE.enumerate()))[:3_000]
    metric = {Metric("accuracy"): np.array([accuracy(arch) for arch in archs])}
    table = Table(SPACE.name, "t", [arch.text for arch in archs], metric)
    model = train(table, tmp_path / "m", config=TINY)
    latents = model.encode(archs)
    tau = kendalltau(model.vae.score(latents).numpy(), table.column("accuracy")).statistic
    decoded = np.mean([one == other for one, other in zip(model.decode(model.latents), model.known, strict=True)])
    assert model.manifest["quality"] == pytest.approx({"tau_seen": tau, "reconstruction": decoded}, abs=1e-6)
    assert tau > 0.2, "two epochs of a tiny model rank better than chance"
    with pytest.raises(AssertionError, match="the teacher was asked"):
        train(table, tmp_path / "n", config=TINY, labels=2_000)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"metric": "speed"}, UnknownNameError, "unknown metric 'speed'; known: accuracy, error, other"),
        ({"labels": 281}, ProblemError, "280 labels to train on, of 280 measured rows: needed are 281"),
        ({"labels": 9}, ProblemError, "9 labels to train on, of 280 measured rows: needed are 10"),
        ({"labels": -5}, ProblemError, "0 labels to train on, of 280 measured rows: needed are 10"),
        (
            {"holdout": 0.99},
            ProblemError,
            "3 labels to train on, of 280 measured rows: needed are 10 and a smaller",
        ),
        ({"holdout": 1.0}, ProblemError, "holdout is 1: it is a share, from 0 to below 1"),
        ({"holdout": -0.1}, ProblemError, "holdout is -0.1: it is a share"),
        ({"resume": True}, BundleError, r"checkpoint\.pt does not continue this training .*train without --resume"),
        ({"device": "banana"}, ProblemError, "device 'banana' cannot be used .*train on cpu"),
        ({"device": "cuda:99"}, ProblemError, "device 'cuda:99' cannot be used .*train on cpu"),
    ],
)
def test_what_cannot_be_trained_is_refused_and_leaves_nothing(table, tmp_path, fields, error, message):
    with pytest.raises(error, match=message):
        train(table, tmp_path / "m", config=TINY, **fields)
    assert list(tmp_path.iterdir()) == []


def test_labels_that_are_all_equal_are_refused(table, tmp_path):
    flat = Table(SPACE.name, "flat", table.texts, {Metric("m"): np.full(300, 7.0)})
    with pytest.raises(ProblemError, match="all 300 labels are 7: there is nothing to rank"):
        train(flat, tmp_path / "m", config=TINY)
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_diverges_says_so(table, tmp_path):
    wild = TINY.model_copy(update={"learning_rate": 1e6, "schedule": "cosine"})
    with pytest.raises(ProblemError, match=r"diverged.*lower learning_rate"):
        train(table, tmp_path / "m", config=wild)
    assert not (tmp_path / "m").exists()


def test_nothing_is_replaced_without_leave(trained, table):
    path, _, _ = trained
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    with pytest.raises(BundleError, match="holds a model already"):
        train(table, path, config=TINY)
    with pytest.raises(BundleError, match="is no bundle: choose another directory"):
        train(table, path.parent, config=TINY, overwrite=True)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    assert [file.name for file in path.parent.iterdir()] == ["m"]


def test_a_model_is_replaced_with_leave(trained, table, tmp_path):
    shutil.copytree(trained[0], tmp_path / "m")
    other = train(table, tmp_path / "m", config=TINY.model_copy(update={"epochs": 1}), seed=1, overwrite=True)
    assert load_bundle(tmp_path / "m").digest == other.digest != trained[1].digest
    assert [file.name for file in tmp_path.iterdir()] == ["m"]


def test_a_directory_that_cannot_be_made_is_refused_before_the_training(table, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="cannot be written"):
        train(table, tmp_path / "file" / "m", config=TINY, progress=lambda *_: pytest.fail("it trained first"))


CHAIN = """
name: mine
kind: chain
notation: digits
blocks:
  - {repeat: %d, choices: {width: [16, 32, 64], norm: [batch, group]}}
"""

DAG = """
name: mine
kind: dag
sources: input
sinks: output
identity_nodes: [input, sum, output]
identity_edges: skip
nodes:
  - {name: x, types: input}
  - {name: a, types: [sum, relu]}
  - {name: b, types: [sum, relu], most_inputs: 1}
  - {name: c, types: [sum, relu]}
  - {name: y, types: output}
edges:
  - {from: x, to: [a, b, c], types: [none, skip, conv]}
  - {from: a, to: [b, c, y], types: [none, skip, conv]}
  - {from: [b, c], to: y, types: [%s]}
"""


@pytest.fixture
def _own_names(monkeypatch):
    monkeypatch.setattr(spaces, "_SPACES", dict(spaces._SPACES))


@pytest.mark.usefixtures("_own_names")
@pytest.mark.parametrize("text", [CHAIN % 2, CHAIN % 12, DAG % "conv", DAG % "none, skip, conv, pool, pool2"])
def test_a_space_of_ones_own_is_learned_and_asked_without_costs(text, tmp_path):
    (tmp_path / "space.yaml").write_text(text)
    space = get_space(tmp_path / "space.yaml")
    archs = space.sample(30, np.random.default_rng(0))
    values = np.array([float(sum(space.choices(arch))) for arch in archs])
    table = Table("mine", "mine", [arch.text for arch in archs], {Metric("accuracy"): values})
    config = TINY.model_copy(update={"batch": 16, "population": 64, "tessellation": float(space.enumerable)})
    model = train(table, tmp_path / "m", config=config)
    assert model.known_costs == {}
    answer = optimize(model, Problem(num_architectures=3, num_steps=5, num_starts=8))
    for proposal in answer.proposals:
        assert space.parse(proposal.architecture).text == proposal.architecture
        assert (proposal.params, proposal.flops) == (None, None)
    limit = Problem(constraints=(Constraint(metric="params", max=1e6),))
    with pytest.raises(ProblemError, match="no limit can be set on 'params'; limits are on accuracy"):
        optimize(model, limit)
