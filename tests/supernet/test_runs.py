"""A run that was stopped anywhere ends as one that was not; a folder is never taken from somebody else."""

import json

import pytest
import torch

from crlso.exceptions import ProblemError
from crlso.supernet import runs
from crlso.supernet.checkpoint import load_state
from crlso.supernet.distributed import World
from crlso.supernet.runs import CHECKPOINT, SETTINGS, TRACE, carry_out, check_free, read_settings

SETTINGS_OF_WALK = {"dataset": "digits", "rate": 0.1, "cells": [0, 2], "teacher": None}
EPOCHS = 5


class StoppedError(Exception):
    pass


class Walk:
    """Descends a noisy bowl by an optimiser with momenta, with noise of torch's generator and of its own."""

    def __init__(self, stop_in=None, loss=None, end=EPOCHS):
        torch.manual_seed(0)
        self.x = torch.nn.Parameter(torch.ones(3))
        self.optimizer = torch.optim.Adam([self.x], 0.1)
        self.generator = torch.Generator().manual_seed(1)
        self.stop_in, self.loss, self.end, self.done = stop_in, loss or {}, end, 0

    @property
    def finished(self):
        return self.done >= self.end

    def epoch(self, number):
        for step in range(3):
            noise = torch.randn(3) + torch.randn(3, generator=self.generator)
            loss = (self.x - noise).square().sum()
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if number == self.stop_in and step:
                raise StoppedError
        self.done += 1
        return {"loss": self.loss.get(number, loss.item()), "seen": {"steps": 3 * self.done}}

    def state(self):
        optimizer = self.optimizer.state_dict()
        return {"x": self.x, "optimizer": optimizer, "generator": self.generator.get_state(), "done": self.done}

    def load(self, state):
        self.x.data = state["x"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        self.done = state["done"]


def run(task, folder, epochs=EPOCHS, settings=SETTINGS_OF_WALK, **options):
    return carry_out(task, folder, settings, epochs, **options)


def trace_of(folder):
    return json.loads((folder / TRACE).read_text())


def assert_same_end(task, other):
    assert torch.equal(task.x, other.x)
    assert torch.equal(task.generator.get_state(), other.generator.get_state())
    for key, value in task.optimizer.state[task.x].items():
        assert torch.equal(value, other.optimizer.state[other.x][key])


@pytest.fixture
def whole(tmp_path):
    """A run that nothing disturbed: its task, its trace, and torch's generator at its end."""
    task = Walk()
    trace = run(task, tmp_path / "whole")
    return task, trace, torch.get_rng_state()


@pytest.mark.parametrize("stop_in", range(EPOCHS))
def test_a_stopped_run_goes_on_as_if_it_had_not_been(tmp_path, whole, stop_in):
    expected, trace, generator = whole
    folder = tmp_path / "stopped"
    with pytest.raises(StoppedError):
        run(Walk(stop_in), folder)
    torch.manual_seed(7)
    task = Walk()
    assert run(task, folder, resume=True) == trace
    assert_same_end(task, expected)
    assert torch.equal(torch.get_rng_state(), generator)
    assert trace_of(folder) == trace


def test_a_run_may_be_stopped_in_every_epoch(tmp_path, whole):
    expected, trace, _ = whole
    for stop_in in range(1, EPOCHS):
        with pytest.raises(StoppedError):
            run(Walk(stop_in), tmp_path / "stopped", resume=True)
    task = Walk()
    assert run(task, tmp_path / "stopped", resume=True) == trace
    assert_same_end(task, expected)


@pytest.mark.parametrize("last", [2, EPOCHS])
def test_a_run_may_be_stopped_between_its_files(tmp_path, monkeypatch, whole, last):
    """With the checkpoint of an epoch written and its row in the trace not."""
    _, trace, _ = whole
    written = runs.write_json

    def stop(path, content):
        if path.name == TRACE and len(content) == last:
            raise StoppedError
        written(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(runs, "write_json", stop)
        with pytest.raises(StoppedError):
            run(Walk(), tmp_path / "stopped")
    assert run(Walk(), tmp_path / "stopped", resume=True) == trace
    assert trace_of(tmp_path / "stopped") == trace


def test_a_finished_run_can_be_resumed_and_stays_as_it_is(tmp_path, whole):
    _, trace, _ = whole
    before = (tmp_path / "whole" / CHECKPOINT).read_bytes()
    assert run(Walk(stop_in=0), tmp_path / "whole", resume=True) == trace
    assert (tmp_path / "whole" / CHECKPOINT).read_bytes() == before


def test_a_run_may_be_given_more_epochs(tmp_path, whole):
    task, trace, _ = whole
    short, more = run(Walk(), tmp_path / "short", epochs=2), Walk()
    assert short == trace[:2]
    assert run(more, tmp_path / "short", resume=True) == trace
    assert_same_end(more, task)


def test_a_run_that_was_never_begun_can_be_resumed(tmp_path, whole):
    assert run(Walk(), tmp_path / "new", resume=True) == whole[1]


def test_rows_number_the_epochs_and_are_told_as_they_come(tmp_path):
    told = []
    trace = run(Walk(), tmp_path / "run", progress=lambda count, row: told.append((count, row)))
    assert [row["epoch"] for row in trace] == list(range(EPOCHS))
    assert told == list(enumerate(trace, start=1))
    assert trace_of(tmp_path / "run") == trace


def test_what_is_finished_ends_early(tmp_path):
    trace = run(Walk(end=2), tmp_path / "run")
    assert len(trace) == 2
    assert run(Walk(end=2, stop_in=2), tmp_path / "run", resume=True) == trace


def test_settings_are_kept(tmp_path):
    run(Walk(), tmp_path / "run", epochs=1)
    assert read_settings(tmp_path / "run") == SETTINGS_OF_WALK
    with pytest.raises(ProblemError, match="holds no run"):
        read_settings(tmp_path)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run_and_its_epoch_is_not_kept(tmp_path, whole, loss):
    folder = tmp_path / "run"
    with pytest.raises(ProblemError, match="lower the learning rate") as caught:
        run(Walk(loss={3: loss}), folder)
    assert str(folder / CHECKPOINT) in str(caught.value)
    assert load_state(folder / CHECKPOINT)["trace"] == trace_of(folder) == whole[1][:3]
    assert run(Walk(), folder, resume=True) == whole[1]


def test_a_first_loss_that_is_not_finite_leaves_no_checkpoint(tmp_path):
    with pytest.raises(ProblemError, match=r"no epoch was completed"):
        run(Walk(loss={0: float("nan")}), tmp_path / "run")
    assert not (tmp_path / "run" / CHECKPOINT).exists()


def test_a_checkpoint_of_other_settings_is_refused(tmp_path, whole):
    other = {**SETTINGS_OF_WALK, "rate": 0.2, "new": 1}
    before = (tmp_path / "whole" / CHECKPOINT).read_bytes()
    with pytest.raises(ProblemError, match="resume with its settings, or name another folder") as caught:
        run(Walk(), tmp_path / "whole", settings=other, resume=True)
    assert "rate was 0.1 and is 0.2, new was None and is 1;" in str(caught.value)
    assert (tmp_path / "whole" / CHECKPOINT).read_bytes() == before
    assert read_settings(tmp_path / "whole") == SETTINGS_OF_WALK


def test_a_checkpoint_of_another_task_is_refused(tmp_path, whole):
    class Other(Walk):
        def load(self, state):
            raise KeyError("momentum")

    with pytest.raises(ProblemError, match="does not fit this run: 'momentum'"):
        run(Other(), tmp_path / "whole", resume=True)


def test_a_used_folder_is_refused_unless_asked_for(tmp_path, whole):
    folder = tmp_path / "whole"
    with pytest.raises(ProblemError, match=r"continue it \(--resume\), replace it \(--force\), or name another"):
        run(Walk(), folder)
    assert trace_of(folder) == whole[1]
    trace = run(Walk(end=2), folder, settings={"other": 1}, overwrite=True)
    assert len(trace) == 2
    assert (trace_of(folder), read_settings(folder)) == (trace, {"other": 1})


def test_what_replaces_a_run_leaves_nothing_of_it_or_of_what_followed(tmp_path, whole):
    folder = tmp_path / "whole"
    for name in ("pareto.json", "arch-1.svg", "network.safetensors", "notes.txt"):
        (folder / name).write_text("of the old run")
    with pytest.raises(StoppedError):
        run(Walk(stop_in=0), folder, overwrite=True)
    assert {path.name for path in folder.iterdir()} == {SETTINGS, TRACE, "notes.txt"}
    assert trace_of(folder) == []


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_a_folder_of_other_things_is_refused(tmp_path, options):
    (tmp_path / "photo").write_text("mine")
    with pytest.raises(ProblemError, match="name a folder of its own"):
        run(Walk(), tmp_path, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["photo"]


def test_folders_within_and_half_written_files_are_no_other_things(tmp_path):
    (tmp_path / "teacher").mkdir()
    (tmp_path / f".{SETTINGS}.partial").write_text("{")
    assert run(Walk(), tmp_path, epochs=1)


def test_to_go_on_and_to_replace_exclude_each_other(tmp_path):
    with pytest.raises(ProblemError, match=r"\(--resume\) or replaces another \(--force\)"):
        check_free(tmp_path / "run", resume=True, overwrite=True)


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ProblemError, match="is a file: name a folder"):
        run(Walk(), tmp_path / "file")
    with pytest.raises(ProblemError, match=r"cannot be made: .*; name another folder"):
        run(Walk(), tmp_path / "file" / "run")


def test_only_the_first_process_writes(tmp_path, whole):
    assert run(Walk(), tmp_path / "second", world=World(rank=1)) == whole[1]
    assert not (tmp_path / "second").exists()
