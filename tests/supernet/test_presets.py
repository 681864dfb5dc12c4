"""Presets are settings that hold, changes are changes of a copy, and what is no setting is said."""

from copy import deepcopy

import pytest

from crlso.exceptions import ProblemError, UnknownNameError
from crlso.supernet.methods import METHODS
from crlso.supernet.presets import PATHS, SEARCHES, TRAININGS, configure_paths, configure_search, configure_training


def search(*changes, method="snps", preset="small", **given):
    return configure_search(method, preset, given, changes)


def training(*changes, preset="small", **given):
    return configure_training(preset, {"space": "darts-flexible", "arch": "any", **given}, changes)


@pytest.mark.parametrize("preset", SEARCHES)
@pytest.mark.parametrize("method", METHODS)
def test_every_preset_of_a_search_holds(preset, method):
    found = search(method=method, preset=preset, dataset="images.npz", seed=3)
    assert (found.method.name, found.dataset, found.seed) == (method, "images.npz", 3)
    chosen = SEARCHES[preset][method]
    assert found.model_dump(include=set(chosen) - {"method"}) == {k: v for k, v in chosen.items() if k != "method"}
    for name, value in chosen.get("method", {}).items():
        found_value = getattr(found.method, name)
        assert (found_value if name != "controller" else found_value.model_dump(include=set(value))) == value


@pytest.mark.parametrize("preset", TRAININGS)
def test_every_preset_of_a_training_holds(preset):
    found = training(preset=preset)
    assert found.model_dump(include=set(TRAININGS[preset])) == TRAININGS[preset]


@pytest.mark.parametrize("preset", PATHS)
def test_every_preset_of_a_supernet_trained_by_paths_holds(preset):
    found = configure_paths(preset, {"dataset": "images.npz", "seed": 3}, ["epochs=7"])
    assert (found.dataset, found.seed, found.epochs) == ("images.npz", 3, 7)
    chosen = {name: value for name, value in PATHS[preset].items() if name != "epochs"}
    assert found.model_dump(include=set(chosen)) == chosen


@pytest.mark.parametrize(
    ("change", "place", "value"),
    [
        ("epochs=7", ("epochs",), 7),
        ("held_out=0.25", ("held_out",), 0.25),
        ("precision=bfloat16", ("precision",), "bfloat16"),
        ("checkpointed=[0, 2]", ("checkpointed",), (0, 2)),
        ("dataset=my=images.npz", ("dataset",), "my=images.npz"),
        ('dataset="12"', ("dataset",), "12"),
        ("method.baseline=0.02", ("method", "baseline"), 0.02),
        ("method.controller.rate=3", ("method", "controller", "rate"), 3.0),
        ('method.controller={"rate": 4}', ("method", "controller", "rate"), 4.0),
    ],
)
def test_a_change_changes_its_setting_and_no_other(change, place, value):
    found, expected = search(change), search().model_dump()
    if change.startswith("method.controller={"):
        expected["method"]["controller"] = type(found.method.controller)().model_dump()
    inner = expected
    for part in place[:-1]:
        inner = inner[part]
    inner[place[-1]] = value
    assert found.model_dump() == expected


def test_later_changes_win_over_earlier_ones_over_what_is_given_over_the_preset():
    assert search(epochs=3).epochs == 3
    assert search("epochs=4", epochs=3).epochs == 4
    assert search("epochs=4", "epochs=5", epochs=3).epochs == 5
    assert training("epochs=4", epochs=3).epochs == 4
    found = search('method.controller={"rate": 4}', "method.controller.mu=2")
    assert (found.method.controller.rate, found.method.controller.mu) == (4, 2)


def test_changes_leave_presets_as_they_are():
    before = deepcopy((SEARCHES, TRAININGS, PATHS))
    changes = ("epochs=1", "method.baseline=0.3", "method.controller.rate=9", "method.controller.patience=9")
    for preset in SEARCHES:
        for method in ("fx-darts", "snps", "dnad"):
            assert search(*changes, method=method, preset=preset).method.controller.rate == 9
    training("epochs=1")
    configure_paths("small", {}, ["epochs=1", "chances=[1, 1, 1, 1, 1]"])
    assert before == (SEARCHES, TRAININGS, PATHS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("epochs=0", "epochs: Input should be greater than 0"),
        ("epochs=many", "epochs: Input should be a valid integer"),
        ("held_out=NaN", "held_out: "),
        ("batch=Infinity", "batch: "),
        ("epoch=3", "unknown setting 'epoch'; known: .*epochs.*width"),
        ("method.sparsity=1", "method.snps.sparsity: Extra inputs"),
        ("method.controller.rate=0", "method.snps.controller.rate: "),
        ("method.controller.gamma=Infinity", "method.snps.controller.gamma: Input should be a finite number"),
        ("method.controller.smoothing=1", "method.snps.controller.smoothing: Input should be less than 1"),
        ("method=5", "method: "),
        ("epochs.most=3", "epochs.most is no setting: epochs is"),
        ("epochs", "write name=value"),
        ("", "unknown setting ''"),
    ],
)
def test_what_is_no_setting_of_a_search_is_said(change, message):
    with pytest.raises((ProblemError, UnknownNameError), match=message):
        search(change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("smoothing=1", "smoothing: "),
        ("learning_rate=Infinity", "learning_rate: Input should be a finite number"),
        ("auxiliary=Infinity", "auxiliary: Input should be a finite number"),
        ("patience=0", "patience: "),
        ("method.name=snps", "unknown setting 'method'"),
    ],
)
def test_what_is_no_setting_of_a_training_is_said(change, message):
    with pytest.raises((ProblemError, UnknownNameError), match=message):
        training(change)


def test_unknown_names_are_answered_by_the_known_ones():
    with pytest.raises(UnknownNameError, match="unknown method 'nsga'; known: darts, dnad, fx-darts, snps"):
        search(method="nsga")
    with pytest.raises(UnknownNameError, match="unknown preset 'large'; known: cifar, paper, small"):
        search(preset="large")
    with pytest.raises(UnknownNameError, match="unknown preset 'large'; known: cifar, paper, small"):
        training(preset="large")
    with pytest.raises(UnknownNameError, match="unknown preset 'large'; known: paper, small"):
        configure_paths("large", {})
