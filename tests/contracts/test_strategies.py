"""Every registered strategy passes the conformance suite, and the suite catches strategies that break a law."""

import math
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest

from crlso.search.peers.local import Local
from crlso.search.registry import make_strategy, strategy_names
from crlso.spaces import get_space
from crlso.testing import check_strategy

SPACE = get_space("nasbench201")
NEEDS = {"tpe": "optuna", "nsga2": "pymoo", "qnehvi": "botorch"}


@pytest.mark.parametrize("name", strategy_names())
def test_registered_strategies_conform(name, accuracy, latent):
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed: pip install 'crlso[bench]'")
    factory = partial(make_strategy, name, **({"latent": latent} if name == "crlso" else {}))
    check_strategy(factory, SPACE, lambda arch: (accuracy(arch),), np.random.default_rng(0))


class Narrow(Local):
    def ask(self, n=1):
        return super().ask(max(1, n - 1))


class Repetitive(Local):
    def ask(self, n=1):
        return [self.told[0].arch, *super().ask(n - 1)] if self.told else super().ask(n)


class Twinned(Local):
    def ask(self, n=1):
        return [*super().ask(n - 1), self.pending[-1]] if n > 1 else super().ask(n)


class Wide(Local):
    def propose(self, n, rng):
        asked = [arch for arch in self.space.sample(20 * n, rng) if arch.key not in self.seen]
        return list({arch.key: arch for arch in asked}.values())[:n]


class Unseeded(Local):
    def propose(self, n, rng):
        return super().propose(n, np.random.default_rng())


class Counting(Local):
    """Remembers in an attribute what the record does not say."""

    asked = 0

    def propose(self, n, rng):
        self.asked += n
        return super().propose(n, np.random.default_rng(self.asked))


class Amnesic(Local):
    def restore(self, state):
        super().restore({**state, "pending": []})


class Fragile(Local):
    def propose(self, n, rng):
        return super().propose(0 if any(math.isnan(told.values[0]) for told in self.told) else n, rng)

    def ask(self, n=1):
        return super().ask(0 if self.told and not self.measured else n)


class Hopeful(Local):
    @property
    def seen(self):
        return super().seen - {told.arch.key for told in self.told if math.isnan(told.values[0])}


class Possessive(Local):
    """Counts as seen only what it asked for itself."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.mine = set()

    def ask(self, n=1):
        asked = super().ask(n)
        self.mine |= {arch.key for arch in asked}
        return asked

    @property
    def seen(self):
        return super().seen & self.mine

    def restore(self, state):
        super().restore(state)
        self.mine = super().seen


class Tireless(Local):
    def ask(self, n=1):
        return super().ask(n) or [self.told[0].arch]


class Lazy(Local):
    def ask(self, n=1):
        return super().ask(n) if len(self.pool) - len(self.told) > 4 else []


@pytest.mark.parametrize(
    ("strategy", "complaint"),
    [
        (Narrow, "of many left"),
        (Repetitive, "asked again"),
        (Twinned, "two of one class"),
        (Wide, "no candidate"),
        (Unseeded, "restored, it asks"),
        (Counting, "restored, it asks"),
        (Amnesic, "changed the record"),
        (Fragile, "after failures"),
        (Hopeful, "failure asked for again"),
        (Possessive, "asked for what was told"),
        (Tireless, "architectures asked of"),
        (Lazy, "nothing more to ask"),
    ],
)
def test_broken_laws_are_named(strategy, complaint, accuracy):
    with pytest.raises(AssertionError, match=complaint):
        check_strategy(strategy, SPACE, lambda arch: (accuracy(arch),), np.random.default_rng(0))
