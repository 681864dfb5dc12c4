"""Local search: neighbours of the best, until none is better, then those of the next best."""

import numpy as np
import pytest

from crlso.search.peers.local import Local
from crlso.search.pool import Pool
from crlso.spaces import get_space

SPACE = get_space("nasbench201")
POOL = Pool(SPACE)


@pytest.fixture
def rugged():
    """A value for each class that says nothing of its neighbours': many local optima."""
    values = dict(zip((arch.key for arch in POOL.classes), np.random.default_rng(0).permutation(4930), strict=True))
    return lambda arch: float(values[arch.key])


@pytest.mark.parametrize("seed", range(5))
def test_climbs_to_a_local_optimum_one_improvement_after_the_other(seed, rugged):
    strategy = Local(SPACE, seed=seed)
    (best,) = strategy.ask(1)
    strategy.tell(best, rugged(best))
    while open_neighbours := {arch for arch in POOL.neighbours(best) if arch.key not in strategy.seen}:
        (arch,) = strategy.ask(1)
        assert arch in open_neighbours
        strategy.tell(arch, rugged(arch))
        best = max(best, arch, key=rugged)
    assert all(rugged(arch) < rugged(best) for arch in POOL.neighbours(best))


def test_restarts_from_the_next_best_after_a_local_optimum(rugged):
    top, second, _ = ranked = sorted(POOL.classes, key=rugged)[:-4:-1]
    strategy = Local(SPACE)
    for arch in {*ranked, *POOL.neighbours(top)}:
        strategy.tell(arch, rugged(arch))
    open_neighbours = [arch for arch in POOL.neighbours(second) if arch.key not in strategy.seen]
    assert open_neighbours
    assert set(strategy.ask(len(open_neighbours))) == set(open_neighbours)


def test_a_failed_neighbour_is_no_improvement(rugged):
    start = POOL.classes[100]
    strategy = Local(SPACE)
    strategy.tell(start, 1.0)
    (failed,) = strategy.ask(1)
    strategy.tell(failed, float("nan"))
    assert set(strategy.ask(4)) <= set(POOL.neighbours(start)) - {failed}


def test_finds_the_optimum_of_an_additive_benchmark(accuracy):
    strategy = Local(SPACE, seed=0)
    best = max(map(accuracy, POOL.classes))
    for _ in range(40):
        for arch in strategy.ask(5):
            strategy.tell(arch, accuracy(arch))
    assert max(told.values[0] for told in strategy.told) == best
