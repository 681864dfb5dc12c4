"""POST /optimize: architectures for an objective and limits."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from starlette.background import BackgroundTask

from service import problems
from service.jobs.schemas import JobView, show_job
from service.routes.parameters import NEEDS_JSON, Asker
from service.schemas import OptimizeRequest, OptimizeResponse
from service.store.jobs import JobStore
from service.strict import StrictRoute
from service.workers import Workers

Answer = Callable[[OptimizeRequest], bytes]
_LONGEST = 60.0  # seconds that a client may wish to wait

ERRORS = problems.declare(
    *problems.BODY,
    problems.UNKNOWN_NAME,
    problems.ARCHITECTURE,
    problems.UNSOLVABLE,
    problems.NO_MODEL,
    problems.BUSY,
    problems.REUSED_KEY,
    problems.CONFLICT,
    *problems.GUARDED,
)
_LATER: dict[int | str, dict[str, Any]] = {
    202: {"model": JobView, "description": "A job has taken it over; `Location` is where it can be watched"}
}


def make_router(answer: Answer, workers: Workers, jobs: JobStore, wait: float, most: int) -> APIRouter:
    """The operation at its short and its versioned path.

    Args:
        answer: to a request, as JSON; may take long.
        workers: threads in which it is waited for.
        jobs: take over what nobody waits for.
        wait: seconds that a client waits unless it wishes otherwise.
        most: living jobs that a caller may have.
    """
    router = APIRouter(
        tags=["optimize"],
        responses=ERRORS,
        dependencies=NEEDS_JSON,
        route_class=StrictRoute,
    )

    def queue(request: OptimizeRequest, origin: Asker) -> JobView:
        asked = request.model_dump(mode="json") | {"kind": "optimize"}
        return show_job(jobs.submit(origin, "optimize", asked, most=most)[0])

    @router.post("/v1/optimize", response_model=OptimizeResponse, responses=_LATER)
    @router.post("/optimize", response_model=OptimizeResponse, responses=_LATER)
    async def optimize(
        request: OptimizeRequest,
        http: Request,
        origin: Asker,
        prefer: Annotated[str | None, Header(description="`respond-async`, or `wait=SECONDS` (RFC 7240)")] = None,
    ) -> Response:
        """Propose architectures: gradient ascent in a model's latent space, decoded, distinct and within all limits.

        The same request and seed to the same model (`digest`) is answered the same way, `elapsed_ms` apart. An
        evaluator scores what was proposed; the order stays that of the model. What takes longer than the client waits,
        or is asked for with `Prefer: respond-async`, becomes a job.
        """
        patience, applied = _preference(prefer, wait)
        if patience == 0.0:
            return _later(await asyncio.to_thread(queue, request, origin), applied)
        work = workers.submit(answer, request)
        solving, gone = asyncio.wrap_future(work), asyncio.ensure_future(_gone(http))
        either: set[asyncio.Future[Any]] = {solving, gone}
        done, _ = await asyncio.wait(either, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        if done == {gone}:
            work.cancel()  # its place is others' now, unless it is being solved already
            return Response(status_code=499)  # that nobody reads; a usual number for the log
        if done:
            return Response(solving.result(), media_type="application/json", headers=applied)
        job = await asyncio.to_thread(queue, request, origin)
        if work.cancel():  # it never began: solving it here as well would make a full service fuller
            return _later(job, applied)

        async def hand_over() -> None:
            """What is being solved already need not be solved by the job."""
            found = json.loads(await solving)
            await asyncio.to_thread(jobs.answer, job.id, found)

        return _later(job, applied, BackgroundTask(hand_over))

    return router


async def _gone(http: Request) -> None:
    """Returns when the client has left."""
    while (await http.receive())["type"] != "http.disconnect":
        pass


def _preference(prefer: str | None, wait: float) -> tuple[float, dict[str, str]]:
    """Seconds to wait, and the header that says which wish was granted."""
    wishes = [wish.strip().lower() for wish in (prefer or "").split(",")]
    if "respond-async" in wishes:
        return 0.0, {"Preference-Applied": "respond-async"}
    for wish in wishes:
        if (found := re.fullmatch(r"wait=(\d{1,9})", wish)) is not None:
            return min(float(found[1]), _LONGEST), {"Preference-Applied": wish}
    return wait, {}


def _later(job: JobView, applied: dict[str, str], after: BackgroundTask | None = None) -> Response:
    headers = {"Location": f"/v1/jobs/{job.id}", "Retry-After": "1", **applied}
    return Response(job.model_dump_json(), 202, headers, "application/json", after)
