"""One runner for every strategy: a random start, then ask, evaluate, tell, until the budget is spent.

The random start is drawn here from what can be asked for, so that strategies of one seed start alike. Afterwards the
strategy is asked for a whole batch, and what the budget has no room for stays pending. Hence the queries of a search
are the first ones of the same search with a larger budget, and a search that was killed, or is given more budget,
goes on from its file as if nothing had happened.

A search ends early when every class of the candidates has been evaluated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from glob import escape
from pathlib import Path

import numpy as np

from crlso.architecture import Architecture
from crlso.evaluators import Evaluator
from crlso.exceptions import ProblemError
from crlso.search.history import Asked, History, Plan, read_history
from crlso.search.limits import feasible_first
from crlso.search.problem import Constraint
from crlso.search.strategy import Strategy
from crlso.tables import Metric

_START = 2**63  # seeds the random start; strategies' draws are seeded by the number of queries, which stays below

Progress = Callable[[History], None]
"""Called after each query."""


class Search:
    """A strategy with its budget and its record, for a loop of the caller's own; `run` is the loop over an evaluator.

        search = Search(strategy, [Metric("accuracy")], budget=100, out="mine.json", resume=True)
        while asked := search.ask():
            for arch in asked:
                search.tell(arch, train(arch))

    Attributes:
        history: the record so far, on disk after every call where there is a file.
    """

    def __init__(
        self,
        strategy: Strategy,
        metrics: Sequence[Metric],
        *,
        budget: int,
        init: int = 10,
        batch: int = 5,
        out: str | Path | None = None,
        resume: bool = False,
        overwrite: bool = False,
        table: str | None = None,
        digest: str | None = None,
        limits: Sequence[Constraint] = (),
        kept: Sequence[Constraint] = (),
        reference: Sequence[float] | None = None,
    ) -> None:
        """Begin a search, or continue one.

        Args:
            strategy: without a record yet.
            metrics: what `tell` takes, one for each of the strategy's objectives.
            budget: the most queries, the random start included.
            init: size of the random start, left out where something was told before the first question.
            batch: architectures in one question.
            out: file of the record; none when left out.
            resume: continue from the file, from the beginning where there is none.
            overwrite: replace the file, once there is something to write.
            table: name of the values' source, for the record.
            digest: of the values; a record with another one is not continued.
            limits: what the strategy's candidates keep, for the record.
            kept: limits on what is measured beside a single metric; `tell` takes a value for each after the metric's.
            reference: a value of each metric than which none of interest is worse; needed for several metrics.

        Raises:
            ProblemError: a number is out of range, the file is taken or of another search, or there is nothing like it.
        """
        if budget < 1 or init < 0 or batch < 1:
            raise ProblemError(f"budget {budget}, init {init}, batch {batch}: needed are at least 1, 0 and 1")
        if len(metrics) != strategy.objectives or (len(metrics) > 1) != (reference is not None):
            raise ProblemError(
                f"{len(metrics)} metric(s) for {strategy.objectives} objective(s): name one for each, and a reference "
                "point for several"
            )
        self.strategy = strategy
        if kept and len(metrics) > 1:
            raise ProblemError(
                f"a limit on the measured {kept[0].metric} beside several objectives: make it one of the objectives"
            )
        plan = Plan(
            space=strategy.space.name,
            table=table,
            digest=digest,
            metrics=tuple(metric.name for metric in metrics),
            directions=tuple(metric.direction for metric in metrics),
            reference=None if reference is None else tuple(reference),
            limits=tuple(limits),
            kept=tuple(kept) or None,
            strategy=strategy.name,
            seed=strategy.seed,
            init=init,
            batch=batch,
            candidates=count_candidates(strategy),
        )
        self._out = None if out is None else Path(out)
        self.history = History(plan, budget)
        if self._out is not None:
            check_free(self._out, resume=resume, overwrite=overwrite)
            if resume and self._out.exists():
                self._continue(self._out)
        self._began = time.perf_counter() - self.history.seconds

    def ask(self) -> list[Architecture]:
        """What to evaluate now: what is left of the last question, or the next one's answer; empty at the end."""
        left = self.history.budget - len(self.history.queries)
        if left > 0 and not self.strategy.pending:
            self._question()
        asked = self.strategy.pending[: max(left, 0)]
        end = None if asked else self._reason(left)
        if end != self.history.end:
            self.history.end = end
            self._save()
        return asked

    def tell(self, arch: Architecture, *values: float) -> None:
        """Report measurements in their own units, the metrics' first, NaN for one that failed.

        Raises:
            ProblemError: the strategy does not take them, or the file cannot be written.
        """
        history, began = self.history, time.perf_counter()
        kept = history.plan.kept or ()
        if len(values) != self.strategy.objectives + len(kept):
            raise ProblemError(f"told {values}: expected {self.strategy.objectives + len(kept)} value(s)")
        aims, limited = values[: self.strategy.objectives], list(map(float, values[self.strategy.objectives :]))
        gains: list[float] = (history.plan.signs * np.array(aims, dtype=np.float64)).tolist()
        self.strategy.tell(arch, *([feasible_first(gains[0], kept, limited)] if kept else gains))
        spent = sum(asked.seconds for asked in history.pending if asked.arch == arch.text)
        history.add(arch.text, list(map(float, aims)), limited, spent + time.perf_counter() - began)
        waiting = {other.text for other in self.strategy.pending}
        history.pending = [asked for asked in history.pending if asked.arch in waiting]
        self._save()

    def _question(self) -> None:
        began, plan = time.perf_counter(), self.history.plan
        question(self.strategy, plan.init, plan.batch)
        share = (time.perf_counter() - began) / max(len(self.strategy.pending), 1)
        self.history.pending = [Asked(arch=arch.text, seconds=share) for arch in self.strategy.pending]
        self._save()

    def _continue(self, path: Path) -> None:
        """Take over a record: what was told, what was asked for, and the time that it took."""
        found = read_history(path)
        if differences := self.history.plan.differences(found.plan):
            raise ProblemError(
                f"{path} is the record of another search; asked for is {'; '.join(differences)}: "
                "ask for the same, or name another file"
            )
        for stale in path.parent.glob(f".{escape(path.name)}.*.partial"):  # of a process killed while it wrote
            stale.unlink(missing_ok=True)
        pending = [asked.arch for asked in found.pending]
        state = {"strategy": found.plan.strategy, "seed": found.plan.seed, "told": found.told(), "pending": pending}
        self.strategy.restore(state)
        self.history.queries, self.history.pending = found.queries, found.pending
        self.history.end, self.history.seconds = found.end, found.seconds

    def _reason(self, left: int) -> str:
        pool = self.strategy.pool
        if left <= 0:
            return "the budget is spent"
        if pool.classes is None:
            return "no new architecture was found"
        return f"all {len(pool):,} classes of {count_candidates(self.strategy):,} candidates are evaluated"

    def _save(self) -> None:
        self.history.seconds = time.perf_counter() - self._began
        if self._out is not None:
            self.history.write(self._out)


def question(strategy: Strategy, init: int, batch: int) -> list[Architecture]:
    """Ask a strategy for architectures, which are then pending: a random start where there is no record yet.

    Args:
        strategy: whom to ask.
        init: size of the random start.
        batch: of a question.
    """
    if not init or strategy.told or strategy.pending:
        return strategy.ask(batch)
    strategy.pending = strategy.pool.sample(init, np.random.default_rng((strategy.seed, _START)))
    return strategy.pending


def run(
    strategy: Strategy,
    evaluator: Evaluator,
    *,
    budget: int,
    init: int = 10,
    batch: int = 5,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    limits: Sequence[Constraint] = (),
    kept: Sequence[Constraint] = (),
    progress: Progress | None = None,
) -> History:
    """Search with an evaluator until the budget is spent or every class of the candidates is evaluated.

    The arguments are those of `Search`; the evaluator's last metrics are those that the limits in `kept` are on.

    Raises:
        ProblemError: as `Search` does, or the evaluator cannot measure what the strategy asks for.
    """
    aims = len(evaluator.metrics) - len(kept)
    search = Search(
        strategy,
        evaluator.metrics[:aims],
        budget=budget,
        init=init,
        batch=batch,
        out=out,
        resume=resume,
        overwrite=overwrite,
        table=evaluator.name,
        digest=evaluator.digest,
        limits=limits,
        kept=kept,
        reference=evaluator.reference[:aims] if aims > 1 else None,
    )
    while asked := search.ask():
        for arch in asked:
            search.tell(arch, *evaluator.evaluate(arch))
            if progress is not None:
                progress(search.history)
    return search.history


def check_free(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Find out before anything runs whether a file may become the record of a search.

    Raises:
        ProblemError: it may not.
    """
    if resume and overwrite:
        raise ProblemError("a search either goes on (--resume) or replaces another (--force)")
    if out.is_dir():
        raise ProblemError(f"{out} is a directory: name a file")
    if out.exists() and not (resume or overwrite):
        raise ProblemError(f"{out} is there already: continue it (--resume), replace it (--force), or name another")
    if not out.parent.is_dir():
        raise ProblemError(f"{out.parent} is not a directory: create it first")


def count_candidates(strategy: Strategy) -> int:
    """How many architectures, twins apart, a strategy may ask for."""
    members = strategy.pool.members
    return strategy.space.size if members is None else len(members)
