"""Studies and jobs in memory, as the contract of the HTTP interface has them: what the page is shown in its tests."""

import asyncio
import json
from itertools import count

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
THEN = "2026-11-25T12:00:00Z"
STATES = ("waiting", "running", "done", "failed", "infeasible")


class Fake:
    """The service behind studies and jobs.

    Attributes:
        key: what requests must bring, if anything.
        last_ids: `Last-Event-ID` of every request for events.
        cut: how many events of a job are sent before the line breaks, once.
    """

    def __init__(self):
        self.numbers = count(1)
        self.studies, self.jobs, self.key, self.last_ids, self.cut = {}, {}, None, [], None
        self.add_study(name="digits by hand", trials=24)
        self.add_job("train", "succeeded", {"name": "cifar100"}, {"done": 200, "total": 200, "message": "epoch 200"})
        self.add_job("search", "failed", {"name": "small"}, None, error="the table has no metric 'accuracy'")
        self.add_job("supernet", "running", {"name": "fx"}, {"done": 0, "total": 60, "message": "warming up"})

    def add_study(self, trials=0, **fields):
        number = next(self.numbers)
        study = {
            "id": f"study-{number}",
            "name": None,
            "space": "nasbench201",
            "strategy": "crlso",
            "metrics": [{"name": "accuracy", "direction": "max"}],
            "reference": None,
            "limits": [{"metric": "params", "max": 400000}],
            "seed": 0,
            "init": 10,
            "batch": 5,
            "budget": 60,
            "created": THEN,
            **fields,
        }
        rows = [trial(row) for row in range(trials)]
        study["counts"] = {state: sum(row["state"] == state for row in rows) for state in STATES}
        self.studies[study["id"]] = study, rows
        return study

    def add_job(self, kind, state, request, progress, error=None):
        job = {
            "id": f"job-{next(self.numbers)}",
            "kind": kind,
            "state": state,
            "request": request,
            "progress": progress,
            "attempt": 1,
            "cancelled": False,
            "created": THEN,
            "started": THEN,
            "finished": None,
            "error": error,
        }
        self.jobs[job["id"]] = job
        return job

    async def events(self, job, after):
        """A supernet's way to its end, from the event after the last one seen."""
        total = 60
        for number in range(after + 1, total + 1):
            if job["state"] == "cancelled":
                break
            if self.cut is not None and number > self.cut:
                self.cut = None
                return
            figures = {
                "loss": 2.3 * 0.97**number + 0.1 * (number % 3) / 3,
                "alive": {"sep_conv_3x3": max(8, 60 - number), "skip_connect": max(6, 52 - number)},
                "accuracy": 90 - 80 * 0.95**number,
                "params": 4e6 * 0.985**number,
            }
            job["progress"] = {"done": number, "total": total, "message": f"epoch {number}"}
            yield written(number, "progress", job["progress"] | figures)
            if number % 10 == 0:
                yield written(number, "log", {"line": f"epoch {number}: loss {figures['loss']:.3f}"})
            await asyncio.sleep(0.01)
        job["state"] = "succeeded" if job["state"] == "running" else job["state"]
        yield written(total + 1, "state", {"state": job["state"], "attempt": 1, "error": None})


def trial(number):
    state = ("done", "done", "done", "failed", "done", "infeasible", "done", "done")[number % 8]
    if number > 21:
        state = "running"
    value = [round(97 - 30 / (number + 2) - 3 * (number * 7 % 5) / (number + 4), 2)] if state == "done" else None
    return {
        "number": number,
        "architecture": CELL,
        "state": state,
        "client_id": f"node-{number % 3}",
        "values": value,
        "created": THEN,
        "finished": THEN if value else None,
    }


def written(number, kind, data):
    return f"id: {number}\nevent: {kind}\ndata: {json.dumps(data)}\n\n"


def problem(status, detail):
    content = {"type": "/problems/any", "title": "No", "status": status, "detail": detail, "request_id": "0"}
    return JSONResponse(content, status, media_type="application/problem+json")


def fake_app(fake):
    """The routes over `app.state.fake`; mount the real application behind them."""
    app = FastAPI()
    app.state.fake = fake

    @app.middleware("http")
    async def keys(request: Request, proceed):
        wanted = app.state.fake.key and request.url.path.startswith("/v1/")
        if wanted and request.headers.get("authorization") != f"Bearer {app.state.fake.key}":
            return problem(401, "send Authorization: Bearer KEY")
        return await proceed(request)

    @app.get("/v1/studies")
    def studies():
        return {"items": [study for study, _ in reversed(app.state.fake.studies.values())], "next_page_token": None}

    @app.post("/v1/studies", status_code=201)
    async def open_study(request: Request):
        body = await request.json()
        assert request.headers["idempotency-key"]
        if body["metrics"][0]["name"] == "params":
            return problem(422, "params is a cost and needs no trials")
        return app.state.fake.add_study(**body)

    @app.get("/v1/studies/{name}")
    def study(name: str):
        return (
            app.state.fake.studies[name][0]
            if name in app.state.fake.studies
            else problem(404, f"unknown study {name!r}")
        )

    @app.get("/v1/studies/{name}/trials")
    def trials(name: str, page_token: int = 0):
        rows = app.state.fake.studies[name][1]
        more = str(page_token + 10) if page_token + 10 < len(rows) else None
        return {"items": rows[page_token : page_token + 10], "next_page_token": more}

    @app.get("/v1/jobs")
    def jobs(kind: str | None = None, state: str | None = None):
        fits = [j for j in app.state.fake.jobs.values() if kind in (None, j["kind"]) and state in (None, j["state"])]
        return {"items": fits[::-1], "next_page_token": None}

    @app.post("/v1/jobs", status_code=202)
    async def submit(request: Request):
        body = await request.json()
        assert request.headers["idempotency-key"]
        if body.get("images", "digits") != "digits":
            return problem(422, f"there are no images {body['images']!r}")
        return app.state.fake.add_job(body["kind"], "running", body, None)

    @app.get("/v1/jobs/{name}")
    def job(name: str):
        return app.state.fake.jobs[name] if name in app.state.fake.jobs else problem(404, f"unknown job {name!r}")

    @app.post("/v1/jobs/{name}/cancel")
    def cancel(name: str):
        app.state.fake.jobs[name]["state"] = "cancelled"
        return app.state.fake.jobs[name]

    @app.get("/v1/jobs/{name}/result")
    def result(name: str):
        return {"front": [CELL], "records": 3}

    @app.get("/v1/jobs/{name}/events")
    async def events(name: str, request: Request):
        last = request.headers.get("last-event-id")
        app.state.fake.last_ids.append(last)
        return StreamingResponse(
            app.state.fake.events(app.state.fake.jobs[name], int(last or 0)), media_type="text/event-stream"
        )

    return app
