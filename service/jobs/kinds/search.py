"""A search whose evaluations the service makes: look-ups in a table, or scores of a supernet."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from crlso.architecture import Architecture
from crlso.evaluators import Evaluator, TableEvaluator
from crlso.evaluators.one_shot import OneShotEvaluator
from crlso.exceptions import unknown
from crlso.search.limits import allowed
from crlso.search.problem import Constraint, Whole
from crlso.search.registry import make_strategy, strategy_names
from crlso.search.runner import Search
from crlso.spaces import get_space
from crlso.tables import load_table
from service.folders import Stamp, stamp
from service.jobs.context import Context
from service.jobs.kinds.base import Catalogue, FolderName, JobRequest, Kind, Word, check_there
from service.registry import known_space


class SearchRequest(JobRequest):
    """Search with a strategy and a budget of queries."""

    kind: Literal["search"]
    space: Word = "nasbench201"
    dataset: Word | None = Field(None, description="a table that comes with crlso")
    metric: Word | None = Field(None, description="of the table; its first one when left out")
    supernet: FolderName | None = Field(None, description="instead of a table, one of GET /v1/supernets")
    strategy: Word = "crlso"
    budget: Whole = Field(100, ge=1, le=10_000)
    init: Whole = Field(10, ge=0, le=1000)
    batch: Whole = Field(5, ge=1, le=100)
    seed: Whole = Field(0, ge=0, lt=2**63)
    limits: tuple[Constraint, ...] = Field((), max_length=16, description="on params and flops")

    @model_validator(mode="after")
    def _one_source(self) -> SearchRequest:
        if (self.dataset is None) == (self.supernet is None):
            raise ValueError("give one of `dataset` and `supernet`")
        if self.supernet is not None and self.metric is not None:
            raise ValueError("a supernet has one metric: leave `metric` out")
        return self


def check(request: SearchRequest, catalogue: Catalogue) -> None:
    """Find the faults that show at once."""
    known_space(request.space)
    if request.strategy not in strategy_names():
        raise unknown("strategy", request.strategy, strategy_names())
    if request.supernet is not None:
        check_there(request.supernet, catalogue.supernets)
    if request.dataset is not None:
        table = load_table(request.space, request.dataset)
        table.metric(request.metric or table.metrics[0].name)
    if request.limits:
        allowed(get_space(request.space), request.limits)


def run(request: SearchRequest, context: Context) -> dict[str, Any]:
    """Search, or go on with it; the answer is the search's file."""
    space, folder = get_space(request.space), context.settings.supernets / (request.supernet or "")
    evaluator = _table(request) if request.supernet is None else one_shot(folder, context.settings.device)
    candidates = allowed(space, request.limits, evaluator.candidates)
    search = Search(
        make_strategy(request.strategy, space, seed=request.seed, candidates=candidates),
        evaluator.metrics,
        budget=request.budget,
        init=request.init,
        batch=request.batch,
        out=context.folder / "search.json",
        resume=True,
        table=evaluator.name,
        digest=evaluator.digest,
        limits=request.limits,
    )
    while asked := search.ask():
        for arch, values in zip(asked, _evaluate(request, context, evaluator, asked), strict=True):
            search.tell(arch, *values)
        best = search.history.best
        standing = search.history.queries[best[0]].values[0] if best else None
        done = len(search.history.queries)
        context.report(done, request.budget, f"{done} of {request.budget} queries", best=standing)
    return search.history.document()


def _table(request: SearchRequest) -> TableEvaluator:
    table = load_table(request.space, request.dataset or "")
    return TableEvaluator(table, [request.metric or table.metrics[0].name])


def _evaluate(
    request: SearchRequest, context: Context, evaluator: Evaluator, asked: list[Architecture]
) -> list[tuple[float, ...]]:
    if request.supernet is None:
        return [evaluator.evaluate(arch) for arch in asked]
    folder, device = context.settings.supernets / request.supernet, context.settings.device
    return context.fan_out(_loss, [(str(folder.absolute()), device, arch.text) for arch in asked])


def one_shot(folder: Path, device: str) -> OneShotEvaluator:
    """The supernet of a folder, kept in the process until its files change: a cluster's processes outlive jobs."""
    return _one_shot(folder, device, stamp(folder) if folder.is_dir() else ())


@lru_cache(maxsize=2)
def _one_shot(folder: Path, device: str, _: Stamp) -> OneShotEvaluator:
    return OneShotEvaluator(folder, device=device)


def _loss(item: tuple[str, str, str]) -> tuple[float, ...]:
    """The score of an architecture, wherever the fan-out has it made."""
    folder, device, text = item
    evaluator = one_shot(Path(folder), device)
    return evaluator.evaluate(get_space(evaluator.space).parse(text))


KIND = Kind(SearchRequest, run, check, accelerated=True)
