"""A path teaches its own weights alone, resumed trainings are undisturbed ones, and scored images are mixed."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from safetensors.torch import load_file
from torch.testing import assert_close

from crlso.exceptions import ProblemError
from crlso.spaces.nasbench201 import OPERATIONS, NasBench201
from crlso.supernet.checkpoint import load_state
from crlso.supernet.data import Part
from crlso.supernet.nasbench201 import live_edges
from crlso.supernet.paths import PathScorer, PathSettings, PathTraining, draw_paths, learning_rate, train_paths

CPU = torch.device("cpu")
SPACE = NasBench201()
CELL = (3, 0, 0, 1, 2, 4)


def settings(**changes):
    return PathSettings(**{"width": 2, "cells": 1, "batch": 8, "epochs": 4, "stem_stride": 2, **changes})


@pytest.fixture(scope="module")
def whole(few, tmp_path_factory):
    """Folder of a training, a copy as it was halfway, and its result."""
    folder = tmp_path_factory.mktemp("paths") / "whole"
    stopped = folder.with_name("stopped")

    def keep(count, row):
        if count == 2:
            shutil.copytree(folder, stopped)

    return folder, stopped, train_paths(settings(), few, folder, CPU, progress=keep)


def test_a_training_that_was_stopped_ends_in_the_state_of_one_that_was_not(whole, few, tmp_path):
    folder, stopped, result = whole
    again = shutil.copytree(stopped, tmp_path / "again")
    torch.manual_seed(99)
    assert train_paths(settings(), few, again, CPU, resume=True) == result
    assert (again / "network.safetensors").read_bytes() == (folder / "network.safetensors").read_bytes()
    assert (again / "trace.json").read_bytes() == (folder / "trace.json").read_bytes()
    momenta = [load_state(place / "checkpoint.safetensors")["task"]["optimizer"]["state"] for place in (again, folder)]
    assert momenta[0].keys() == momenta[1].keys()
    for number, state in momenta[0].items():
        assert torch.equal(state["momentum_buffer"], momenta[1][number]["momentum_buffer"])


def test_the_folder_holds_the_last_weights_and_how_it_went(whole):
    folder, _, result = whole
    assert json.loads((folder / "result.json").read_text()) == result
    assert result["epochs"] == 4
    assert result["loss"] == json.loads((folder / "trace.json").read_text())[-1]["loss"]
    last = load_state(folder / "checkpoint.safetensors")["task"]["network"]
    weights = load_file(folder / "network.safetensors")
    assert result["params"] == sum(tensor.numel() for tensor in weights.values())
    assert all(torch.equal(weights[name], tensor) for name, tensor in last.items())


def test_a_path_teaches_its_own_weights_alone(few):
    """Neither decay nor momentum moves the others."""
    chances = [0.0, 0.0, 0.0, 1.0, 0.0]  # 3×3 convolutions everywhere
    task = PathTraining(settings(chances=chances, warmup=0.0), few, CPU)
    before = {name: tensor.clone() for name, tensor in task.network.state_dict().items()}
    task.epoch(0)
    for name, tensor in task.network.state_dict().items():
        other = "nor_conv_1x1" in name
        assert torch.equal(tensor, before[name]) == other, name


def test_it_learns(few, tmp_path):
    """One path, so that forty images suffice."""
    options = settings(width=4, stem_stride=1, epochs=20, chances=(0, 0, 0, 1, 0))
    result = train_paths(options, few, tmp_path / "longer", CPU)
    rows = json.loads((tmp_path / "longer" / "trace.json").read_text())
    assert result["loss"] < 0.75 * rows[0]["loss"]


def test_operations_are_drawn_by_their_chances():
    chances = np.array([1, 4, 8, 8, 4])
    paths = draw_paths(settings(chances=tuple(chances)), 4000, 3)
    shares = np.bincount(paths.ravel(), minlength=len(OPERATIONS)) / paths.size
    np.testing.assert_allclose(shares, chances / chances.sum(), atol=0.02)
    assert np.abs(np.corrcoef(paths.T) - np.eye(6)).max() < 0.08, "edges are drawn by themselves"


def test_paths_are_a_function_of_seed_and_epoch():
    first = draw_paths(settings(), 9, 5)
    np.testing.assert_array_equal(first, draw_paths(settings(), 9, 5))
    assert not np.array_equal(first, draw_paths(settings(), 9, 6))
    assert not np.array_equal(first, draw_paths(settings(seed=1), 9, 5))


def test_the_rate_rises_in_a_line_and_falls_by_a_cosine():
    options = settings(learning_rate=0.2, warmup=0.1)
    found = [learning_rate(options, share) for share in (0.0, 0.05, 0.1, 0.55, 1.0)]
    assert_close(found, [0.0, 0.1, 0.2, 0.1, 0.0])
    assert learning_rate(settings(learning_rate=0.2, warmup=0.0), 0.0) == 0.2


def test_scores_are_of_the_images_held_out(whole, few):
    """By hand: one batch of them all, so their order is nothing."""
    folder, _, _ = whole
    scorer = PathScorer(folder, few, CPU)
    rest, held_out = few.train.split(0.2, 0)
    assert len(rest) + len(held_out) == len(few.train)
    x = (held_out.x / 255 - few.mean[:, None, None]) / few.std[:, None, None]
    with torch.no_grad():
        logits = scorer.network(x, CELL)
    accuracy, loss = scorer.score(CELL)
    assert loss == pytest.approx(float(F.cross_entropy(logits, held_out.y)), rel=1e-5)
    assert accuracy == pytest.approx(100 * float((logits.argmax(dim=1) == held_out.y).float().mean()))


def test_images_sorted_by_class_are_scored_in_mixed_batches(whole, few, monkeypatch):
    """Statistics of a batch of one class would normalise away what tells it from others."""
    folder, _, _ = whole
    order = few.train.y.argsort(stable=True)
    images = replace(few, train=Part(few.train.x[order], few.train.y[order]))
    monkeypatch.setattr("crlso.supernet.paths._SCORED", 4)
    scorer = PathScorer(folder, images, CPU)
    assert len(scorer._batches) > 1
    for _, y in scorer._batches.epoch(0):
        assert len(y.unique()) > 1


def test_what_no_path_reaches_changes_no_score(whole, few):
    scorer = PathScorer(whole[0], few, CPU)
    assert 5 not in live_edges(CELL)
    assert scorer.score(CELL) == scorer.score((*CELL[:5], 0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"chances": (0,) * 5},
        {"chances": (1, 1, 1, 1)},
        {"chances": (1, 1, 1, 1, -1)},
        {"space": "darts"},
        {"held_out": 0},
        {"batch": 1},
        {"warmup": 1},
    ],
    ids=str,
)
def test_what_is_no_setting_is_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        settings(**wrong)


def test_other_folders_and_images_are_refused(whole, few, tmp_path):
    with pytest.raises(ProblemError, match="holds no run of a supernet"):
        PathScorer(tmp_path, few, CPU)
    with pytest.raises(ProblemError, match="holds no supernet trained by paths on such images"):
        PathScorer(whole[0], replace(few, classes=(*few.classes, "more")), CPU)
    with pytest.raises(ProblemError, match="another run: width was 2 and is 3"):
        train_paths(settings(width=3), few, whole[0], CPU, resume=True)
