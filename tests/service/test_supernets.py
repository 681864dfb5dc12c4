"""A folder of a real supernet, trained on a few digits."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from crlso.evaluators.one_shot import OneShotEvaluator
from crlso.exceptions import BundleError
from crlso.spaces import get_space
from crlso.supernet.paths import PathSettings, train_paths
from crlso.supernet.sources import load_images
from service.supernets import Supernets, load_supernet


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Holds a supernet of NAS-Bench-201, `paths`, and an empty folder."""
    directory = tmp_path_factory.mktemp("supernets")
    settings = PathSettings(size=4, width=2, cells=1, batch=128, epochs=1)
    train_paths(settings, load_images(size=4), directory / "paths", torch.device("cpu"))
    (directory / "empty").mkdir()
    return directory


def test_scores_as_the_evaluator_does_and_alike_in_all_threads(directory):
    cells = get_space("nasbench201").sample(4, np.random.default_rng(0))
    scorer, alone = (
        Supernets(directory, load_supernet).resolve("supernet:paths", "nasbench201"),
        OneShotEvaluator(directory / "paths"),
    )
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(scorer.score, cells * 3))
    assert found == [alone.score(cell) for cell in cells] * 3
    assert scorer.digest == alone.digest


def test_a_folder_without_a_supernet_is_a_broken_one(directory):
    found, faults = Supernets(directory, load_supernet).check()
    assert (list(found), list(faults)) == (["paths"], ["empty"])
    with pytest.raises(BundleError, match="holds no run of a supernet"):
        Supernets(directory, load_supernet).get("empty")
