"""POST /v1/optimize/stream: the answer of POST /v1/optimize, and before it the ascent as it climbs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import numpy as np
import torch
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from jaxtyping import Float
from torch import Tensor

from crlso.exceptions import CrlsoError
from crlso.latent.model import Model
from crlso.search.ascent import Progress
from crlso.search.problem import Answer, Problem
from service import problems
from service.maps import Maps
from service.routes.optimize import ERRORS
from service.routes.parameters import NEEDS_JSON, UNBUFFERED, Submitter
from service.schemas import OptimizeRequest
from service.solving import Solve
from service.workers import Workers

_SHOWN = 48  # starts whose ascents are told of: more crowd the map
_EVENTS = 32  # times that they are told of

_EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["path", "places", "answer", "problem"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
    "required": ["event", "data"],
}

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": (
            "Events: `path` {step, of, points: [[x, y], …] of the first starts, on the map}, `places` {points and "
            "entries on the map, of the proposals}, `answer` with the body of POST /v1/optimize; or `problem`"
        ),
        "content": {"text/event-stream": {"schema": _EVENT}},
    }
}


class SolveAloud(Protocol):
    """Solves a problem and tells of its progress."""

    def __call__(self, model: Model, problem: Problem, progress: Progress | None = None) -> Answer: ...


def make_router(
    answer: Callable[[OptimizeRequest, Solve], bytes], workers: Workers, maps: Maps, solve: SolveAloud
) -> APIRouter:
    """The one operation.

    Args:
        answer: to a request, by a solver, as JSON.
        workers: threads in which that is done.
        maps: on which the ascent is told.
        solve: the solver.
    """
    router = APIRouter(tags=["optimize"], responses=ERRORS, dependencies=NEEDS_JSON)

    def climb(request: OptimizeRequest, tell: Callable[[str, str], None]) -> CrlsoError | None:
        try:
            tell("answer", answer(request, _aloud(solve, maps, tell)).decode())
        except CrlsoError as error:
            return error  # no fault of the service, not even where the client has left and hears no more of it
        return None

    @router.post("/v1/optimize/stream", response_class=StreamingResponse, responses=_STREAM)
    async def optimize_aloud(request: OptimizeRequest, http: Request, _: Submitter) -> StreamingResponse:
        """Propose architectures as `POST /v1/optimize` does, and tell of the ascent while it climbs.

        What is wrong with the request is answered as a problem, not as a stream. What is only found out on the way
        ends the stream with an event `problem`.
        """
        events = _Events()
        job = asyncio.ensure_future(workers.run(climb, request, events.tell))
        job.add_done_callback(events.end)
        first = await events.next()
        if first is None and (refusal := await job) is not None:
            raise refusal
        return StreamingResponse(_written(first, events, job, http), media_type="text/event-stream", headers=UNBUFFERED)

    return router


def _aloud(solve: SolveAloud, maps: Maps, tell: Callable[[str, str], None]) -> Solve:
    """A solver that tells of the ascent, and at its end where the proposals are."""

    def solve_aloud(model: Model, problem: Problem) -> Answer:
        atlas, steps = maps.of(model).atlas, problem.num_steps
        every = -(-steps // _EVENTS)

        def progress(step: int, z: Float[Tensor, "S Z"]) -> None:
            if step % every == 0 or step == steps:
                points = _rounded(atlas.projection(z[:_SHOWN]))
                tell("path", json.dumps({"step": step, "of": steps, "points": points}))

        found = solve(model, problem, progress)
        latents = torch.tensor([proposal.latent for proposal in found.proposals])
        entries = [atlas.index.get(proposal.architecture) for proposal in found.proposals]
        tell("places", json.dumps({"points": _rounded(atlas.projection(latents)), "entries": entries}))
        return found

    return solve_aloud


class _Events:
    """From a thread to the event loop it was made in; None marks the end."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue()

    def tell(self, kind: str, data: str) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, (kind, data))

    def end(self, _: asyncio.Future[CrlsoError | None]) -> None:
        self._queue.put_nowait(None)

    async def next(self) -> tuple[str, str] | None:
        return await self._queue.get()


async def _written(
    event: tuple[str, str] | None, events: _Events, job: asyncio.Future[CrlsoError | None], http: Request
) -> AsyncIterator[str]:
    while event is not None:
        yield f"event: {event[0]}\ndata: {event[1]}\n\n"
        event = await events.next()
    if (refusal := await job) is not None:
        content = bytes((await problems.refused(http, refusal)).body).decode()
        yield f"event: problem\ndata: {content}\n\n"


def _rounded(places: Float[np.ndarray, "B 2"]) -> list[list[float]]:
    rounded: list[list[float]] = (np.round(places, 5) + 0.0).tolist()  # no negative zeros
    return rounded
