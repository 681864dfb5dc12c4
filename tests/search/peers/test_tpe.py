"""The estimator's bridge to optuna: what goes in, what comes out, what is drawn again."""

import math

import numpy as np
import pytest

from crlso.exceptions import ArchitectureError
from crlso.spaces import NasBench201, get_space

pytest.importorskip("optuna", reason="pip install 'crlso[bench]'")

from crlso.search.peers.tpe import Tpe

SPACE = get_space("nasbench201")


class Picky(NasBench201):
    """Refuses half of what can be chosen."""

    def from_choices(self, choices):
        if sum(choices) % 2:
            raise ArchitectureError("they do not fit together")
        return super().from_choices(choices)


def test_the_study_is_the_record_with_the_pending_as_the_worst():
    strategy = Tpe(SPACE)
    first, second, third, fourth = SPACE.sample(4, np.random.default_rng(0))
    strategy.tell(first, 2.0)
    strategy.tell(second, 1.0)
    strategy.tell(third, math.nan)
    strategy.pending = [fourth]
    study, worst = strategy._study(np.random.default_rng(0))
    assert worst == 1.0
    assert [trial.value for trial in study.trials] == [2.0, 1.0, 1.0]
    for trial, arch in zip(study.trials, [first, second, fourth], strict=True):
        assert tuple(trial.params.values()) == SPACE.choices(SPACE.canonical(arch))
    assert study.best_trial.value == 2.0


def test_choices_that_do_not_fit_are_drawn_again():
    strategy = Tpe(Picky(), candidates=[arch for arch in SPACE.enumerate() if sum(SPACE.choices(arch)) % 2 == 0])
    for arch in strategy.ask(12):
        strategy.tell(arch, float(len(arch.key)))
    asked = strategy.ask(5)
    assert len(asked) == 5
    assert all(sum(SPACE.choices(arch)) % 2 == 0 for arch in asked)


def test_suggestions_are_better_than_chance(accuracy):
    strategy = Tpe(SPACE, seed=0)
    for size in (20, *[5] * 12):
        for arch in strategy.ask(size):
            strategy.tell(arch, accuracy(arch))
    values = [told.values[0] for told in strategy.told]
    assert np.mean(values[-20:]) > np.mean(values[:20]) + 2 * np.std(values[:20])
