"""The contract's base: the record, what is open, and what happens to whatever is told."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crlso.exceptions import ArchitectureError, ProblemError
from crlso.search.strategy import Strategy, Told, class_values
from crlso.spaces import get_space

SPACE = get_space("nasbench201")
TWINS = (
    SPACE.parse("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|none~0|none~1|skip_connect~2|"),
    SPACE.parse("|skip_connect~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|skip_connect~2|"),
)


class Modest(Strategy):
    """Proposes one architecture at most, and remembers how it was asked."""

    name = "modest"
    most_objectives = 2

    def propose(self, n, rng):
        self.wanted = n
        return self.pool.sample(min(n, 1), rng, without=self.seen)


def test_before_anything_is_told_questions_are_random():
    strategy = Modest(SPACE)
    assert len(set(strategy.ask(4))) == 4
    assert not hasattr(strategy, "wanted")


def test_what_a_strategy_leaves_open_is_drawn_from_what_it_left():
    strategy = Modest(SPACE)
    strategy.tell(TWINS[0], 1.0)
    assert len(set(strategy.ask(4)) - {TWINS[0]}) == 4
    assert strategy.wanted == 4


def test_the_generator_depends_on_the_seed_and_on_how_many_were_asked():
    def first(seed, told):
        strategy = Modest(SPACE, seed=seed)
        for arch in told:
            strategy.tell(arch, 1.0)
        return [arch.text for arch in strategy.ask(3)]

    assert first(0, []) == first(0, [])
    assert first(0, []) != first(1, [])
    assert first(0, TWINS[:1]) != first(0, TWINS)


def test_told_architectures_are_pending_no_more_their_twins_neither():
    strategy = Modest(SPACE, candidates=TWINS[:1])
    assert strategy.ask(1) == [TWINS[0]] == strategy.pending
    strategy.tell(TWINS[1], 1.0)
    assert strategy.pending == []
    assert strategy.told == [Told(TWINS[1], (1.0,))]
    assert strategy.seen == {TWINS[0].key}
    assert strategy.ask(1) == []


def test_failures_are_seen_but_not_measured():
    strategy = Modest(SPACE, objectives=2)
    strategy.tell(TWINS[0], 1.0, math.nan)
    assert strategy.measured == []
    assert strategy.seen == {TWINS[0].key}


@pytest.mark.parametrize("values", [(), (1.0, 2.0), (math.inf,)])
def test_tell_refuses_what_is_no_measurement(values):
    with pytest.raises(ProblemError, match=r"expected 1 finite value"):
        Modest(SPACE).tell(TWINS[0], *values)


def test_tell_refuses_another_space():
    other = type(TWINS[0])("elsewhere", TWINS[0].text, TWINS[0].graph, TWINS[0].key)
    with pytest.raises(ProblemError, match="this search is in nasbench201"):
        Modest(SPACE).tell(other, 1.0)


def test_too_many_objectives_name_the_remedy():
    with pytest.raises(ProblemError, match="name one that takes more"):
        Modest(SPACE, objectives=3)


@given(values=st.lists(st.one_of(st.just(math.nan), st.floats(-1e9, 1e9)), max_size=8), seed=st.integers(0, 99))
def test_a_restored_record_is_the_same_record(values, seed):
    strategy, archs = Modest(SPACE, seed=seed), SPACE.sample(12, np.random.default_rng(seed))
    for arch, value in zip(archs, values, strict=False):
        strategy.tell(arch, value)
    strategy.ask(2)
    other = Modest(SPACE, seed=seed)
    other.restore(strategy.state())
    assert other.state() == strategy.state()
    assert [arch.text for arch in other.ask(2)] == [arch.text for arch in strategy.ask(2)]


def test_a_foreign_record_is_refused():
    with pytest.raises(ProblemError, match="seed 1"):
        Modest(SPACE, seed=0).restore(Modest(SPACE, seed=1).state())
    with pytest.raises(ArchitectureError):
        Modest(SPACE).restore({"strategy": "modest", "seed": 0, "told": [["nonsense", 1.0]], "pending": []})


def test_values_of_a_class_are_averaged():
    other = SPACE.sample(1, np.random.default_rng(0))[0]
    archs, values = class_values([Told(TWINS[0], (1.0, 2.0)), Told(other, (7.0, 8.0)), Told(TWINS[1], (3.0, 6.0))])
    assert archs == [TWINS[0], other]
    np.testing.assert_allclose(values, [[2.0, 4.0], [7.0, 8.0]])
