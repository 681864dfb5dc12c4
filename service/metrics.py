"""What a monitor reads at /metrics: how many ask, how long they wait and for what, and what is proposed to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import torch
from prometheus_client import CollectorRegistry, Counter, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.logs import log_request
from service.registry import Registry
from service.solving import Solved
from service.store.database import StoreError
from service.store.jobs import JobStore

MEDIA_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
_GAPS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # in the metric's unit, often points of accuracy


class Metrics:
    """Counters of one application."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._requests = Counter(
            "crlso_requests", "Requests by path and status.", ("method", "path", "status"), registry=self._registry
        )
        self._latency = Histogram(
            "crlso_request_seconds",
            "From a request to the end of its answer.",
            ("path",),
            registry=self._registry,
            buckets=_SECONDS,
        )
        self._waited = self._histogram("crlso_queue_seconds", "What work waited for a thread.")
        self._worked = self._histogram("crlso_compute_seconds", "What work took in its thread.")
        self._proposals = Counter(
            "crlso_proposals",
            "Architectures proposed, by whether the table has measured them.",
            ("measured",),
            registry=self._registry,
        )
        self._gap = Histogram(
            "crlso_manifold_gap",
            "|f(z) - f(encode(decode(z)))| of proposals.",
            ("model",),
            registry=self._registry,
            buckets=_GAPS,
        )

    def _histogram(self, name: str, meaning: str) -> Histogram:
        return Histogram(name, meaning, registry=self._registry, buckets=_SECONDS)

    def observe(self, registry: Registry, jobs: JobStore) -> None:
        """Report the state of models, jobs and accelerators whenever somebody reads."""
        self._registry.register(_State(registry, jobs))

    def proposed(self, solved: Solved) -> bytes:
        """Count what an answer proposes, which is then to be sent."""
        for measured, gap in zip(solved.measured, solved.gaps, strict=True):
            self._proposals.labels("yes" if measured else "no").inc()
            self._gap.labels(solved.model).observe(gap)
        return solved.body

    def worked_on(self, waited: float, took: float) -> None:
        """Note what work waited for a thread and took in it, in seconds."""
        self._waited.observe(waited)
        self._worked.observe(took)

    def requested(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request and write it down."""
        path = path_of(scope)
        self._requests.labels(scope["method"], path, str(status)).inc()
        self._latency.labels(path).observe(seconds)
        log_request(scope, status, seconds)

    def text(self) -> bytes:
        """All figures in Prometheus' notation."""
        return generate_latest(self._registry)


class _State:
    """Figures that are looked up when somebody reads them."""

    def __init__(self, registry: Registry, jobs: JobStore) -> None:
        self._registry, self._jobs = registry, jobs

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: looking up takes a database."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Models, jobs and the memory of accelerators."""
        models = GaugeMetricFamily("crlso_model", "Models that answer.", labels=("model", "space", "metric", "digest"))
        for model in self._registry.check()[0].values():
            models.add_metric((model.name, model.space.name, model.metric.name, model.digest), 1)
        yield models
        try:
            counts = self._jobs.counts()
        except StoreError:
            counts = {}
        jobs = GaugeMetricFamily("crlso_jobs", "Jobs by state; none while the record is away.", labels=("state",))
        for state, number in counts.items():
            jobs.add_metric((state,), number)
        yield jobs
        memory = GaugeMetricFamily("crlso_gpu_memory_bytes", "Memory of accelerators in use.", labels=("device",))
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            memory.add_metric((f"cuda:{index}",), total - free)
        yield memory


class Measured:
    """Counts every request that passes.

    Args:
        app: answers.
        tell: takes a request's scope, the answer's status and seconds.
    """

    def __init__(self, app: ASGIApp, tell: Callable[[Scope, int, float], None]) -> None:
        self._app, self._tell = app, tell

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began, status = time.perf_counter(), 500

        async def noticed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            return await self._app(scope, receive, noticed)
        finally:
            self._tell(scope, status, time.perf_counter() - began)


def path_of(scope: Scope) -> str:
    """A request's path as the routes name it, so that there are not more of them than routes."""
    return str(getattr(scope.get("route"), "path", "none of them"))
