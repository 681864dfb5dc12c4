"""Searching: what a killed search goes on to is what it would have come to, and what its records say is so."""

import json
import shutil
from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crlso.exceptions import ProblemError, UnknownNameError
from crlso.networks.darts_flexible import FlexibleNetwork
from crlso.spaces import get_space
from crlso.spaces.darts_flexible import cells_of
from crlso.supernet.checkpoint import load_state
from crlso.supernet.one_shot import inherit, recalibrate
from crlso.supernet.searching import Searching, SearchSettings, flexible_space, front, search, skips
from crlso.supernet.teachers import plain_teacher

SPACE = "darts-flexible-dnad@3"
CPU = torch.device("cpu")
PUSHED = {  # deaths in every epoch, and no end
    "choice_learning_rate": 20.0,
    "enough": 0.01,
    "controller": {"gamma": 0.3, "growth": 1.2, "rate": 2.0},
}
METHODS = {
    "snps": {"name": "snps", **PUSHED},
    "fx-darts": {"name": "fx-darts", **PUSHED, "choice_learning_rate": 5.0, "look": 3},  # once in an epoch and a half
    "dnad": {"name": "dnad", **PUSHED},
    "darts": {"name": "darts", "choice_learning_rate": 0.3},
    "darts, second order": {"name": "darts", "choice_learning_rate": 0.3, "order": 2},
}
DELETING = ("snps", "fx-darts", "dnad")
STOPPED = 2  # whole epochs


def settings(method, /, **changes):
    given = {"space": SPACE, "dataset": "few", "width": 2, "batch": 16, "epochs": 3, "method": METHODS[method]}
    return SearchSettings.model_validate(given | changes)


@pytest.fixture(scope="module")
def teacher():
    torch.manual_seed(5)
    return FlexibleNetwork(plain_teacher(get_space(SPACE)), 10, (1, 8, 8), width=2)


@pytest.fixture(scope="module", params=METHODS)
def undisturbed(request, few, teacher, tmp_path_factory):
    """A whole search, and what its folder was after some epochs."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    stopped = folder.with_name("stopped")

    def keep(count, row):
        if count == STOPPED:
            shutil.copytree(folder, stopped)

    records = search(settings(request.param), few, folder, CPU, teacher=teacher, progress=keep)
    return request.param, folder, stopped, records


def flat(state, name=""):
    """Leaves of a nested state by their paths."""
    if isinstance(state, dict):
        return {k: v for key, value in state.items() for k, v in flat(value, f"{name}/{key}").items()}
    if isinstance(state, list | tuple):
        return {k: v for key, value in enumerate(state) for k, v in flat(value, f"{name}/{key}").items()}
    return {name: state}


def assert_same(found, expected):
    """Bit by bit."""
    found, expected = flat(found), flat(expected)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        same = torch.equal(found[name], value) if isinstance(value, torch.Tensor) else found[name] == value
        assert same, name


def test_a_search_that_was_stopped_ends_in_the_state_of_one_that_was_not(undisturbed, few, teacher, tmp_path):
    method, folder, stopped, records = undisturbed
    again = tmp_path / "again"
    shutil.copytree(stopped, again)
    torch.manual_seed(99)
    seen = []
    found = search(
        settings(method), few, again, CPU, teacher=teacher, resume=True, progress=lambda count, row: seen.append(count)
    )
    assert seen == [3], "the epochs before are not repeated"
    assert found == records
    whole, first = (load_state(place / "checkpoint.safetensors") for place in (folder, stopped))
    assert_same(load_state(again / "checkpoint.safetensors"), whole)
    assert json.loads((again / "trace.json").read_text()) == json.loads((folder / "trace.json").read_text())
    if method in DELETING:
        before, after = (sum(state["trace"][-1]["alive"].values()) for state in (first, whole))
        assert 3 * 14 * 3 > before > after, "there were deaths before and after"


def pairs_of(record):
    cells = cells_of(get_space(SPACE).parse(record["architecture"]))
    return {(c, n, *pair) for c, cell in enumerate(cells) for n, node in enumerate(cell) for pair in node}


def test_records_are_of_one_architecture_after_another(undisturbed):
    """Nested where pairs die; in the order of time; costs are those of the network alone."""
    method, _, _, records = undisturbed
    assert len(records) > 1
    assert [record["epoch"] for record in records] == sorted(record["epoch"] for record in records)
    for before, after in pairwise(records):
        assert before["architecture"] != after["architecture"]
        if method in DELETING:
            assert pairs_of(after) < pairs_of(before)
    for record in records:
        arch = get_space(SPACE).parse(record["architecture"])
        alone = FlexibleNetwork(arch, 10, (1, 8, 8), width=2, auxiliary=False)
        assert record["params"] == sum(p.numel() for p in alone.parameters())
        names = [name for _, _, name, _ in pairs_of(record)]
        assert record["skips"] == names.count("skip_connect") / len(names) == skips(arch)


def test_the_last_record_is_the_supernet_as_it_ended(undisturbed, few, teacher):
    """Scored by hand on images that no part of the training has."""
    method, folder, _, records = undisturbed
    state = load_state(folder / "checkpoint.safetensors")
    task = Searching(settings(method), few, CPU, teacher=teacher)
    task.load(state["task"])
    learned = torch.cat([part.images for part in task.batches])
    assert len(learned) + len(task.validation.images) == len(few.train)
    assert not any(torch.equal(image, other) for image in task.validation.images for other in learned)
    assert state["trace"][-1]["accuracy"] == records[-1]["accuracy"]
    if method in DELETING:
        x = (task.validation.images / 255 - few.mean[:, None, None]) / few.std[:, None, None]
        with torch.no_grad():
            logits = task.method.supernet.eval()(x, task.method.weights().unbind())
        right = (logits.argmax(dim=1) == task.validation.labels).float().mean()
        assert records[-1]["accuracy"] == pytest.approx(100 * float(right))
        expected = torch.nn.functional.cross_entropy(logits, task.validation.labels)
        assert records[-1]["loss"] == pytest.approx(float(expected), rel=1e-4)
    else:
        parts = [{tuple(image.flatten().tolist()) for image in part.images} for part in task.batches]
        assert not parts[0] & parts[1], "α and weights learn from different images"
        for cell in cells_of(get_space(SPACE).parse(records[-1]["architecture"])):
            assert all(len({source for _, source in node}) == len(node) == 2 for node in cell)


@pytest.fixture(scope="module")
def standing(few):
    """A search in which nothing dies and every look is a plateau, before its first epoch."""
    patient = {"gamma": 1e-6, "gamma_max": 1e-7, "patience": 1}
    method = {"name": "snps", "choice_learning_rate": 1e-9, "controller": patient}
    return Searching(settings("snps", method=method), few, CPU)


def test_an_architecture_that_stands_has_one_record_of_its_last_moment(standing):
    """Also where it was a plateau in between; records look at the supernet and leave it alone."""
    trace = [standing.epoch(number) for number in range(2)]
    (record,) = standing.records
    assert (record["epoch"], record["plateau"]) == (1, True)
    assert record["accuracy"] == trace[-1]["accuracy"]
    assert record["loss"] != pytest.approx(trace[-1]["loss"])
    before = deepcopy(standing.state()["modules"])
    standing._record(7, plateau=False)
    assert_same(standing.state()["modules"], before)
    assert standing.method.supernet.training
    assert [(row["epoch"], row["plateau"]) for row in standing.records] == [(7, True)]
    assert {**standing.records[0], "epoch": 1} == record


def test_what_is_proposed_is_scored_as_a_part_of_the_supernet_each_time_it_comes(standing, monkeypatch):
    """With statistics of its own on training images, and without a trace in the supernet."""
    arch, whole = plain_teacher(get_space(SPACE)), standing.method.derive()
    before = deepcopy(standing.state()["modules"])
    for proposed in (whole, [arch], whole):
        monkeypatch.setattr(standing.method, "derive", lambda proposed=proposed: proposed)
        standing._record(8, plateau=False)
    assert [row["architecture"] for row in standing.records[-3:]] == [whole[0].text, arch.text, whole[0].text]
    assert_same(standing.state()["modules"], before)
    network = inherit(standing.method.supernet, cells_of(arch))
    weights = standing.method.weights().detach().unbind()
    recalibrate(network, weights, [x for x, _ in standing.batches[0].epoch(0)])
    (x, y), *_ = standing.validation.epoch(0)
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(network(x, weights), y)
    assert standing.records[-2]["loss"] == pytest.approx(float(loss), rel=1e-5)
    assert standing.records[-2]["loss"] != pytest.approx(standing.records[-1]["loss"], rel=1e-5)


def record(number, accuracy, params):
    return {"architecture": str(number), "accuracy": float(accuracy), "params": params}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4)), min_size=1, max_size=20))
def test_the_front_has_what_nothing_beats_once_and_all_else_is_beaten(rows):
    """Params of an architecture are always the same."""
    records = [record(number, accuracy, 1 + number % 3) for number, accuracy in rows]
    found = front(records)

    def beats(a, b):
        no_worse = a["accuracy"] >= b["accuracy"] and a["params"] <= b["params"]
        return no_worse and (a["accuracy"] > b["accuracy"] or a["params"] < b["params"])

    assert all(one in records for one in found)
    assert not any(beats(a, b) for a in records for b in found)
    assert [one["params"] for one in found] == sorted(one["params"] for one in found)
    assert len({one["architecture"] for one in found}) == len(found)
    texts = {one["architecture"] for one in found}
    for other in records:
        assert other["architecture"] in texts or any(beats(one, other) for one in found)


def test_a_teacher_is_needed_before_anything_is_written(few, tmp_path):
    with pytest.raises(ProblemError, match="distils a teacher: give one"):
        search(settings("dnad"), few, tmp_path / "run", CPU)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["darts", "nasbench201"])
def test_spaces_without_pairs_of_their_own_are_refused(name):
    with pytest.raises(ProblemError, match=f"{name} is no flexible space, such as darts-flexible"):
        flexible_space(name)


def test_unknown_spaces_are_refused_with_those_there_are():
    with pytest.raises(UnknownNameError, match="darts-flexible"):
        flexible_space("darts-flexibel")


def test_to_record_more_often_changes_nothing_else(few):
    often, seldom = (Searching(settings("snps", record_every=every), few, CPU) for every in (1, None))
    for task in (often, seldom):
        for number in range(2):
            task.epoch(number)
    assert_same(*(task.state()["modules"] for task in (often, seldom)))
    texts = [record["architecture"] for record in often.records]
    assert len(texts) > len(seldom.records)
    assert [text for text in texts if text in {r["architecture"] for r in seldom.records}] == [
        record["architecture"] for record in seldom.records
    ]
