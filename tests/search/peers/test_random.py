"""Random search: uniform over members, blind to values."""

from collections import Counter

from crlso.search.peers.random import Random
from crlso.spaces import get_space

SPACE = get_space("nasbench201")


def test_values_change_nothing():
    def asked(sign):
        strategy = Random(SPACE, seed=1)
        for _ in range(5):
            for rank, arch in enumerate(strategy.ask(3)):
                strategy.tell(arch, sign * rank)
        return [told.arch.text for told in strategy.told]

    assert asked(1.0) == asked(-1.0)


def test_every_open_candidate_is_as_likely():
    candidates = list({arch.key: arch for arch in SPACE.enumerate()}.values())[:8]
    counts = Counter()
    for seed in range(1000):
        strategy = Random(SPACE, seed=seed, candidates=candidates)
        strategy.tell(candidates[0], 1.0)
        counts[strategy.ask(1)[0]] += 1
    assert set(counts) == set(candidates[1:])
    expected = 1000 / 7
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 22.5  # chi², 6 degrees: p = 0.001


def test_any_number_of_objectives():
    strategy = Random(SPACE, objectives=3)
    (arch,) = strategy.ask(1)
    strategy.tell(arch, 1.0, 2.0, 3.0)
    assert len(strategy.ask(2)) == 2
