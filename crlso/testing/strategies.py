"""The laws of a search strategy, as stated in `crlso.search.strategy`, checked on short searches."""
# ruff: noqa: S101, asserts are what this module is for

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from crlso.architecture import Architecture
from crlso.search.strategy import Strategy
from crlso.spaces.base import SearchSpace

Factory = Callable[..., Strategy]
"""Makes a strategy from a space and the keywords `seed`, `candidates` and `objectives`: the class itself is one."""
Evaluate = Callable[[Architecture], tuple[float, ...]]
"""A value for each objective; larger is better."""

_FIRST, _BATCH, _ROUNDS = 6, 3, 3  # architectures of the first question and of the others, how many others


def check_strategy(
    factory: Factory, space: SearchSpace, evaluate: Evaluate, rng: np.random.Generator, n: int = 40
) -> None:
    """Assert that a strategy keeps every law of the contract.

    Args:
        factory: makes the strategy, again and again.
        space: to search in.
        evaluate: what is told of an architecture.
        rng: where candidates and seeds come from.
        n: candidates, two dozen or more.

    Raises:
        AssertionError: a law is broken; the message says which and by what.
    """
    candidates = _nearby(space, rng, n)
    objectives = len(evaluate(candidates[0]))

    def make(seed: int, candidates: Sequence[Architecture] = candidates) -> Strategy:
        return factory(space, seed=seed, candidates=candidates, objectives=objectives)

    seed = int(rng.integers(2**31))
    check_questions(make(seed), evaluate, candidates)
    check_restoring(lambda: make(seed), evaluate)
    check_failures(make(seed), evaluate)
    check_strangers(make(seed), evaluate, [*candidates[:_BATCH], *space.sample(_BATCH, rng)])
    few = candidates[: _FIRST + _BATCH]
    check_exhaustion(make(seed, few), evaluate, len({arch.key for arch in few}))


def check_questions(strategy: Strategy, evaluate: Evaluate, candidates: Sequence[Architecture]) -> None:
    """Questions are as many as wanted, of distinct classes, candidates, and never put twice."""
    texts, before = {arch.text for arch in candidates}, set[str]()
    for question in _search(strategy, evaluate):
        keys = {arch.key for arch in question.asked}
        assert len(question.asked) == question.wanted, f"ask({question.wanted}) gave {len(question.asked)} of many left"
        assert len(keys) == len(question.asked), f"two of one class in one question: {question.texts}"
        assert not before & keys, f"asked again: {question.texts}"
        assert set(question.texts) <= texts, f"asked for what is no candidate: {question.texts}"
        before |= keys


def check_restoring(make: Callable[[], Strategy], evaluate: Evaluate) -> None:
    """A strategy of the same seed, restored from the record of any moment, asks what was asked then.

    So does the one that has gone on since: what it keeps for speed must not change its mind.
    """
    experienced = make()
    for question in list(_search(experienced, evaluate)):
        for strategy in (make(), experienced):
            strategy.restore(json.loads(question.record))
            assert json.dumps(strategy.state()) == question.record, "state∘restore changed the record"
            again = [arch.text for arch in strategy.ask(question.wanted)]
            assert again == question.texts, f"restored, it asks for {again}; undisturbed, for {question.texts}"


def check_failures(strategy: Strategy, evaluate: Evaluate) -> None:
    """Failures, all of the first question and one of each later, end no search and are not asked for again."""
    failed = set[str]()

    def train(arch: Architecture) -> tuple[float, ...]:
        return tuple(math.nan if arch.key in failed else value for value in evaluate(arch))

    for question in _search(strategy, train):
        assert len(question.asked) == question.wanted, f"after failures ask({question.wanted}) gave {question.texts}"
        assert not failed & {arch.key for arch in question.asked}, f"a failure asked for again: {question.texts}"
        failed.update(arch.key for arch in question.asked[: 1 if failed else None])


def check_strangers(strategy: Strategy, evaluate: Evaluate, strangers: Sequence[Architecture]) -> None:
    """What was never asked for may be told, before the first question too, and is not asked for then."""
    for arch in strangers:
        strategy.tell(arch, *evaluate(arch))
    for question in _search(strategy, evaluate):
        assert len(question.asked) == question.wanted, f"told strangers, ask({question.wanted}) gave {question.texts}"
        assert not set(strangers) & set(question.asked), f"asked for what was told: {question.texts}"


def check_exhaustion(strategy: Strategy, evaluate: Evaluate, classes: int) -> None:
    """At the pool's end a question has fewer than wanted, all that are left, and then none."""
    count = 0
    while asked := strategy.ask(_BATCH + 1):
        count += len(asked)
        assert count <= classes, f"{count} architectures asked of {classes} classes"
        for arch in asked:
            strategy.tell(arch, *evaluate(arch))
    assert count == classes, f"nothing more to ask after {count} of {classes} classes"


def _nearby(space: SearchSpace, rng: np.random.Generator, n: int) -> list[Architecture]:
    """Architectures within a few changes of each other, in random order: strategies that move by changes must move."""
    found = {arch.text: arch for arch in space.sample(1, rng)}
    for _ in range(n):
        if len(found) < n:
            center = list(found.values())[rng.integers(len(found))]
            found |= {arch.text: arch for arch in space.neighbours(center)}
    return [list(found.values())[row] for row in rng.permutation(len(found))[:n]]


@dataclass(frozen=True)
class _Question:
    """What was asked, how many were wanted, and the record before, as JSON."""

    asked: list[Architecture]
    wanted: int
    record: str

    @property
    def texts(self) -> list[str]:
        return [arch.text for arch in self.asked]


def _search(strategy: Strategy, evaluate: Evaluate) -> Iterator[_Question]:
    """A short search; the last architecture of every question is told one question late."""
    late = list[Architecture]()
    for wanted in (_FIRST, *[_BATCH] * _ROUNDS):
        record = json.dumps(strategy.state())
        question = _Question(strategy.ask(wanted), wanted, record)
        yield question
        for arch in [*late, *question.asked[:-1]]:
            strategy.tell(arch, *evaluate(arch))
        late = question.asked[-1:]
