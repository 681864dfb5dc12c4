"""/v1/jobs: work that outlives a request, and what it says of itself while it is done."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from service import problems
from service.jobs.kinds import KINDS
from service.jobs.kinds.base import Catalogue
from service.jobs.schemas import JobList, JobResult, JobSubmission, JobView, show_job
from service.routes.parameters import (
    NEEDS_JSON,
    UNBUFFERED,
    Asker,
    Id,
    PageSize,
    PageToken,
    Reader,
    Submitter,
    created,
    links,
)
from service.store.database import StoreError
from service.store.jobs import TERMINAL, Event, JobStore, State
from service.store.keys import KeyStore
from service.strict import StrictRoute

_OF_ONE = ("get", "post_cancel", "get_result", "get_log", "get_events")
_EVENT = {
    "type": "object",
    "description": "one event; `data` is JSON",
    "properties": {
        "id": {"type": "string"},
        "event": {"enum": ["state", "progress", "log"]},
        "data": {"type": "string"},
    },
}
_LOOK = 0.25  # seconds between looks at the record for news of a job
_KEEP_ALIVE = 15.0  # seconds of silence after which a comment keeps proxies from hanging up
_RETRY = 1000  # milliseconds after which a client that was cut off comes back


def make_router(store: JobStore, catalogue: Catalogue, log: KeyStore, most: int, closing: asyncio.Event) -> APIRouter:
    """The paths of jobs.

    Args:
        store: of jobs.
        catalogue: what is there already.
        log: takes down what was submitted and cancelled.
        most: living jobs that a caller may have.
        closing: set when the service ends, so that streams end with it.
    """
    router = APIRouter(
        prefix="/v1/jobs", tags=["jobs"], responses=problems.declare(*problems.GUARDED), route_class=StrictRoute
    )
    one = problems.declare(problems.NOT_FOUND, problems.INVALID)

    @router.post(
        "",
        status_code=202,
        dependencies=NEEDS_JSON,
        responses={
            202: {"links": links("job", *_OF_ONE)},
            **problems.declare(
                *problems.BODY, problems.UNKNOWN_NAME, problems.UNSOLVABLE, problems.REUSED_KEY, problems.CONFLICT
            ),
        },
    )
    def submit(request: JobSubmission, origin: Asker, response: Response) -> JobView:
        """Queue a job. `Location` is where it can be watched; faults that show at once are answered at once."""
        asked = request.root
        kind = KINDS[asked.kind]
        kind.check(asked, catalogue)
        job, new = store.submit(
            origin,
            asked.kind,
            asked.model_dump(mode="json"),
            target=kind.target(asked),
            most=most,
        )
        created(response, f"/v1/jobs/{job.id}", new=new)
        if new:
            log.write_down(origin.owner, f"job.submit.{job.kind}", job.id)
        return show_job(job)

    @router.get("", responses=problems.declare(problems.INVALID, problems.TOKEN))
    def list_jobs(
        _: Reader,
        state: Annotated[State | None, Query(description="leave out jobs of other states")] = None,
        kind: Annotated[str | None, Query(pattern="^[a-z]{1,32}$", description="leave out other kinds")] = None,
        page_size: PageSize = 50,
        page_token: PageToken = None,
    ) -> JobList:
        """Jobs, newest first."""
        page = store.page(page_size, page_token, state=state, kind=kind)
        return JobList(items=[show_job(job) for job in page.items], next_page_token=page.next_token)

    @router.get("/{job}", responses=one)
    def show(job: Id, _: Reader) -> JobView:
        """One job."""
        return show_job(store.get(job))

    @router.get("/{job}/result", responses=problems.declare(problems.NOT_FOUND, problems.INVALID, problems.CONFLICT))
    def result(job: Id, _: Reader) -> JobResult:
        """What a job that succeeded has made."""
        return JobResult(store.result(job))

    @router.get("/{job}/log", response_class=PlainTextResponse, responses=one)
    def show_log(
        job: Id, _: Reader, lines: Annotated[int, Query(ge=1, le=10_000, description="the most lines, last ones")] = 200
    ) -> str:
        """What a job has written down, the last lines of it."""
        found = store.events(job, kind="log", last=lines)
        return "".join(f"{event.data['line']}\n" for event in found)

    @router.post("/{job}/cancel", responses=one)
    def cancel(job: Id, caller: Submitter) -> JobView:
        """Have a job end; what has ended stays as it is."""
        found = store.cancel(job)
        log.write_down(caller.id, "job.cancel", job)
        return show_job(found)

    @router.get(
        "/{job}/events",
        response_class=StreamingResponse,
        responses={200: {"content": {"text/event-stream": {"schema": _EVENT}}}, **one},
    )
    async def watch(
        job: Id,
        request: Request,
        _: Reader,
        last_event_id: Annotated[int, Header(ge=0, lt=2**31, description="leave out events up to this one")] = 0,
    ) -> Response:
        """Server-sent events of a job, from the first or from after `Last-Event-ID`, until it has ended.

        Events are `state`, `progress` and `log`; each has the next number as its id, also across restarts.
        """
        over = (await asyncio.to_thread(store.get, job)).state in TERMINAL  # asked first: then no event is missing
        first = await asyncio.to_thread(store.events, job, last_event_id)

        async def news(after: int) -> list[Event]:
            return await asyncio.to_thread(store.events, job, after)

        async def last() -> bool:
            return over or closing.is_set() or await request.is_disconnected()

        stream = _stream(first, last_event_id, news, last)
        return StreamingResponse(stream, media_type="text/event-stream", headers=UNBUFFERED)

    return router


async def _stream(
    found: list[Event],
    after: int,
    news: Callable[[int], Awaitable[list[Event]]],
    last: Callable[[], Awaitable[bool]],
) -> AsyncIterator[str]:
    """Events as they come; ends with the job, with the client or with the service."""
    yield f"retry: {_RETRY}\n\n"
    silent = 0.0
    while True:
        for event in found:
            after, silent = event.number, 0.0
            yield _sent(event)
            if _ends(event):
                return
        if await last():
            return
        await asyncio.sleep(_LOOK)
        silent += _LOOK
        if silent >= _KEEP_ALIVE:
            silent = 0.0
            yield ": still here\n\n"
        try:
            found = await news(after)
        except StoreError:
            found = []  # it comes back, and so do the events


def _sent(event: Event) -> str:
    data: dict[str, Any] = event.data
    return f"id: {event.number}\nevent: {event.kind}\ndata: {json.dumps(data)}\n\n"


def _ends(event: Event) -> bool:
    return event.kind == "state" and event.data["state"] in TERMINAL
