"""Pools: every class once, nothing from outside, listed or not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlso.exceptions import ProblemError
from crlso.search.pool import Pool
from crlso.spaces import NasBench201, get_space

SPACE = get_space("nasbench201")


class Boundless(NasBench201):
    """The same space, to be reached by samples and neighbours only."""

    enumerable = False


def test_a_whole_space_is_listed_by_representatives():
    pool = Pool(SPACE)
    assert len(pool.members) == SPACE.size
    assert len(pool) == len(set(pool.classes)) == 4930
    assert all(arch.text == SPACE.canonical(arch).text for arch in pool.classes)


@given(seed=st.integers(0, 999), n=st.integers(1, 300))
def test_candidates_stand_for_their_classes(seed, n):
    candidates = SPACE.sample(n, np.random.default_rng(seed))
    pool = Pool(SPACE, candidates)
    texts = {arch.text for arch in candidates}
    assert {arch.key for arch in pool.classes} == {arch.key for arch in candidates}
    for arch in candidates:
        admitted = pool.admit(arch)
        assert admitted == arch
        assert admitted.text in texts
        if SPACE.canonical(arch).text in texts:
            assert admitted.text == SPACE.canonical(arch).text


def test_what_is_no_candidate_is_not_admitted():
    inside, outside = SPACE.sample(2, np.random.default_rng(0))
    pool = Pool(SPACE, [inside])
    assert inside in pool
    assert outside not in pool
    assert pool.admit(outside) is None


@pytest.mark.parametrize("pool", [Pool(SPACE), Pool(Boundless())], ids=["listed", "boundless"])
def test_samples_are_of_distinct_open_classes(pool):
    rng = np.random.default_rng(0)
    without = {arch.key for arch in pool.sample(100, rng)}
    drawn = {arch.key for arch in pool.sample(100, rng, without)}
    assert len(drawn) == 100
    assert not drawn & without


@pytest.mark.parametrize("space", [SPACE, Boundless()], ids=["listed", "boundless"])
def test_samples_end_with_the_pool(space):
    candidates = SPACE.sample(20, np.random.default_rng(0))
    pool = Pool(space, candidates)
    without = {arch.key for arch in candidates[5:]}
    left = {arch.key for arch in candidates} - without
    assert {arch.key for arch in pool.sample(50, np.random.default_rng(1), without)} == left


def test_sampling_a_boundless_pool_gives_up_in_the_end():
    pool = Pool(Boundless())
    everything = {arch.key for arch in SPACE.enumerate()}
    assert pool.sample(3, np.random.default_rng(0), everything) == []
    assert len(pool) == SPACE.size


@given(seed=st.integers(0, 999))
def test_neighbours_are_admitted_one_a_class_and_others(seed):
    center, *_ = SPACE.sample(1, np.random.default_rng(seed))
    around = SPACE.neighbours(center)
    pool = Pool(SPACE, [center, *around[::2]])
    found = pool.neighbours(center)
    assert {arch.key for arch in found} == {arch.key for arch in around if arch in pool} - {center.key}
    assert len(set(found)) == len(found)
    assert {arch.text for arch in found} <= {arch.text for arch in pool.members}


def test_an_empty_list_of_candidates_is_refused():
    with pytest.raises(ProblemError, match="no candidate"):
        Pool(SPACE, [])


def test_all_of_a_space_is_no_part_of_it():
    space = get_space("nasbench201")
    everything = list(space.enumerate())
    assert not Pool(space).partial
    assert not Pool(space, everything).partial
    assert Pool(space, everything[:100]).partial
    assert not Pool(get_space("darts")).partial
