"""Where studies are asked: strategies in memory over the record in the store.

A strategy is a function of its record (ADR 5), so that none is kept but for speed: before each question it is given the
record as the store has it, whoever has told or asked meanwhile. What it proposes waits in the store until clients come
for it; a question is put when nothing waits. So a single client gets the sequence of `crlso.search.runner`, and many
share one sequence.

Only one question at a time is put for a study; whoever comes meanwhile waits for its answer.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock

from crlso.architecture import Architecture
from crlso.exceptions import ProblemError
from crlso.search.history import Asked, History, Plan
from crlso.search.limits import allowed
from crlso.search.registry import make_strategy
from crlso.search.runner import count_candidates, question
from crlso.search.strategy import Strategy
from crlso.spaces import get_space
from service.registry import known_space
from service.store.rows import Origin
from service.store.studies import Outcome, Study, StudyStore, Trial
from service.studies.schemas import StudyPlan
from service.workers import LateError, Workers

_KEPT = 16  # strategies in memory; one of a large space takes some ten megabytes

Make = Callable[[StudyPlan], Strategy]


class Desk:
    """Puts questions to strategies and keeps what they answer.

    Args:
        store: of studies.
        workers: threads in which strategies think.
        make: a plan's strategy, without a record.
    """

    def __init__(self, store: StudyStore, workers: Workers, make: Make | None = None) -> None:
        self._store = store
        self._workers = workers
        self._make = make or strategy_of
        self._strategies: OrderedDict[str, Strategy] = OrderedDict()
        self._lock = Lock()
        self._questions: dict[str, asyncio.Task[str | None]] = {}

    def create(self, origin: Origin, name: str, plan: StudyPlan) -> tuple[Study, bool]:
        """Make a study, once its plan has proved to be one that can be followed.

        Raises:
            UnknownNameError: there is no such space or strategy.
            ProblemError: the strategy cannot search so.
        """
        strategy = self._make(plan)
        study, new = self._store.create(origin, name, plan.model_dump(mode="json"))
        self._keep(study.id, strategy)
        return study, new

    async def ask(self, study: str, client: str, count: int, patience: float) -> tuple[list[Trial], str | None]:
        """Trials for a client to work on, and why there are fewer than asked for.

        Raises:
            NotFoundError: there is no such study.
            LateError: a question takes longer than `patience`, in seconds.
            BusyError: all workers are taken.
        """
        deadline = asyncio.get_running_loop().time() + patience
        plan = await asyncio.to_thread(self._plan, study)
        while True:
            trials = await asyncio.to_thread(self._store.assign, study, client, count, plan.budget)
            if len(trials) == count:
                return trials, None
            end = await self._answer(study, plan, deadline)
            if end is not None:
                return trials, end

    async def _answer(self, study: str, plan: StudyPlan, deadline: float) -> str | None:
        """Wait for the study's present question, put now if there is none; why no architecture came of it."""
        if study not in self._questions:
            task = asyncio.create_task(self._workers.run(self._refill, study, plan))
            self._questions[study] = task
            task.add_done_callback(
                lambda done: (self._questions.pop(study, None), done.cancelled() or done.exception())
            )
        left = deadline - asyncio.get_running_loop().time()
        done, _ = await asyncio.wait({self._questions[study]}, timeout=max(left, 0.0))
        if not done:
            raise LateError
        return done.pop().result()

    def _answered(self, study: str, question: asyncio.Task[str | None]) -> None:
        self._questions.pop(study, None)
        if not question.cancelled():
            question.exception()  # looked at, also where nobody waits for it any more

    def _refill(self, study: str, plan: StudyPlan) -> str | None:
        """Put a question; why it has no answer, if so."""
        record = self._store.record(study)
        if record.waits(plan.budget):
            return None  # an answer came between the client's look and this question
        if plan.budget is not None and record.trials >= plan.budget:
            return f"the budget of {plan.budget} trials is spent"
        strategy = self._strategies.get(study) or self._make(plan)
        self._keep(study, strategy)
        strategy.restore(
            {
                "strategy": strategy.name,
                "seed": strategy.seed,
                "told": [[trial.architecture, *_gains(trial, plan)] for trial in record.told],
                "pending": [trial.architecture for trial in record.open],
            }
        )
        found = question(strategy, plan.init, plan.batch)
        if not found:
            return "every architecture that may be asked for has been"
        self._store.propose(study, found, record.trials)
        return None

    def tell(self, study: str, trial: int | str, outcome: Outcome, values: Sequence[float] | None) -> Trial:
        """Record what came of a trial, or of any architecture of the space.

        Raises:
            NotFoundError: there is no such study.
            ArchitectureError: the text describes none.
            ProblemError: there is no such trial, or there are not as many values as metrics.
            ConflictError: it was told otherwise before.
        """
        plan = self._plan(study)
        if values is not None and len(values) != len(plan.metrics):
            raise ProblemError(
                f"{len(values)} values: the study has the metrics {', '.join(a.name for a in plan.metrics)}"
            )
        what: int | Architecture = trial if isinstance(trial, int) else get_space(plan.space).parse(trial)
        return self._store.tell(study, what, outcome, values)

    def history(self, study: str) -> tuple[History, list[Trial]]:
        """The record as a search keeps it, and the trials of its queries.

        Raises:
            NotFoundError: there is no such study.
        """
        plan, record = self._plan(study), self._store.record(study)
        strategy = self._strategies.get(study) or self._make(plan)
        searched = Plan(
            space=strategy.space.name,
            table=None,
            digest=None,
            metrics=tuple(aim.name for aim in plan.metrics),
            directions=tuple(aim.direction for aim in plan.metrics),
            reference=plan.reference,
            limits=plan.limits,
            strategy=strategy.name,
            seed=strategy.seed,
            init=plan.init,
            batch=plan.batch,
            candidates=count_candidates(strategy),
        )
        history = History(searched, plan.budget or record.trials)
        for trial in record.told:
            history.add(trial.architecture, trial.values or [float("nan")] * len(plan.metrics), [], 0.0)
        history.pending = [Asked(arch=trial.architecture, seconds=0.0) for trial in record.open]
        return history, record.told

    def _plan(self, study: str) -> StudyPlan:
        return StudyPlan.model_validate(self._store.plan(study))

    def _keep(self, study: str, strategy: Strategy) -> None:
        with self._lock:
            self._strategies[study] = strategy
            self._strategies.move_to_end(study)
            while len(self._strategies) > _KEPT:
                self._strategies.popitem(last=False)


def strategy_of(plan: StudyPlan) -> Strategy:
    """The strategy that a plan names, without a record.

    Raises:
        UnknownNameError: there is no such space or strategy.
        ProblemError: it does not take so many metrics, or nothing keeps the limits.
    """
    space = get_space(known_space(plan.space))
    candidates = allowed(space, plan.limits)
    return make_strategy(plan.strategy, space, seed=plan.seed, candidates=candidates, objectives=len(plan.metrics))


def _gains(trial: Trial, plan: StudyPlan) -> list[float | None]:
    """The values such that more is better; none where there is no value."""
    if trial.values is None:
        return [None] * len(plan.metrics)
    signs = [1.0 if aim.direction == "max" else -1.0 for aim in plan.metrics]
    return [sign * value for sign, value in zip(signs, trial.values, strict=True)]
