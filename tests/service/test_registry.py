import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

import pytest

from crlso import spaces
from crlso.exceptions import BundleError, ProblemError, UnknownNameError
from service.registry import Registry


@pytest.fixture
def loaded(models, stand_in):
    """A registry, and the names of the bundles that it has read."""
    names = []

    def load(path):
        names.append(path.name)
        return stand_in.load(path)

    return SimpleNamespace(registry=Registry(models, load), names=names)


def test_reads_a_bundle_once_and_only_when_asked(loaded):
    assert loaded.names == []
    with ThreadPoolExecutor(4) as threads:
        models = list(threads.map(loaded.registry.get, ["alpha"] * 8))
    assert loaded.names == ["alpha"]
    assert all(model is models[0] for model in models)


def test_reads_it_again_when_its_files_change(loaded, models):
    before = loaded.registry.get("alpha")
    os.utime(models / "alpha" / "sound", (1, 1))
    assert loaded.registry.get("alpha") is not before


def test_a_broken_bundle_leaves_the_others_alone_and_recovers(loaded, models, add):
    add("beta", sound=False)
    found, faults = loaded.registry.check()
    assert (list(found), list(faults)) == (["alpha"], ["beta"])
    with pytest.raises(BundleError, match="train the model again"):
        loaded.registry.get("beta")
    assert loaded.names.count("beta") == 1
    (models / "beta" / "sound").touch()
    assert loaded.registry.get("beta").name == "beta"


def test_hidden_folders_and_files_are_no_models(loaded, models, add):
    add(".alpha.partial")
    (models / "notes.txt").touch()
    assert loaded.registry.names() == ["alpha"]


def test_only_model_of_a_space_needs_no_name(loaded, add):
    add("broken", sound=False)
    assert loaded.registry.resolve("nasbench201", None).name == "alpha"


def test_several_models_of_a_space_must_be_told_apart(loaded, add):
    add("beta")
    with pytest.raises(ProblemError, match="alpha, beta"):
        loaded.registry.resolve("nasbench201", None)
    assert loaded.registry.resolve("nasbench201", "beta").name == "beta"


def test_space_and_model_must_fit(models, stand_in):
    def load(path):
        return replace(stand_in.load(path), space=SimpleNamespace(name="elsewhere"))

    with pytest.raises(ProblemError, match="'elsewhere', not 'nasbench201'"):
        Registry(models, load).resolve("nasbench201", "alpha")
    with pytest.raises(BundleError, match=r"crlso\.train"):
        Registry(models, load).resolve("nasbench201", None)


@pytest.mark.parametrize("name", ["", ".", "..", "../models/alpha", "/", "alpha/", "gamma"])
def test_other_names_are_unknown_whatever_they_would_lead_to(loaded, name):
    with pytest.raises(UnknownNameError, match="known: alpha"):
        loaded.registry.get(name)


def test_a_directory_that_is_not_there_is_empty(tmp_path, stand_in):
    registry = Registry(tmp_path / "none", stand_in.load)
    assert registry.check() == ({}, {})
    with pytest.raises(BundleError, match=r"crlso\.train"):
        registry.resolve("nasbench201", None)


def test_a_space_that_a_model_brings_is_known_once_it_is_asked_for(models, monkeypatch):
    monkeypatch.setattr(spaces, "_SPACES", dict(spaces._SPACES))
    described = "{name: mine, kind: chain, blocks: [{choices: {c: [a, b]}}]}"

    def load(path):
        return SimpleNamespace(name=path.name, space=spaces.register_space(spaces.read_space(described)))

    registry = Registry(models, load)
    assert registry.resolve("mine", None).name == registry.resolve("mine", "alpha").name == "alpha"


@pytest.mark.parametrize("name", [None, "alpha"])
def test_no_request_has_the_service_read_a_file(loaded, tmp_path, name):
    path = tmp_path / "space.yaml"
    path.write_text("{name: foreign, kind: chain, blocks: [{choices: {c: [a, b]}}]}")
    with pytest.raises(UnknownNameError, match=r"known: .*nasbench201"):
        loaded.registry.resolve(str(path), name)
    assert "foreign" not in spaces.space_names()
