"""Spans for OpenTelemetry: one a request, with the path as the routes name it. Needs the extra `otel`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fastapi import FastAPI

from crlso.exceptions import ProblemError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter


def otlp(endpoint: str) -> SpanExporter:
    """Sends spans to a collector by OTLP over HTTP.

    Raises:
        ProblemError: the extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ModuleNotFoundError as error:
        raise ProblemError(f"CRLSO_OTLP_ENDPOINT needs {error.name}: pip install 'crlso[otel]'") from error
    return OTLPSpanExporter(endpoint=endpoint)


def trace(app: FastAPI, exporter: SpanExporter) -> Callable[[], None]:
    """Have every request leave a span; what is returned sends the last ones."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource({"service.name": "crlso", "service.version": app.version}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    app.add_middleware(OpenTelemetryMiddleware, tracer_provider=provider, exclude_spans=["receive", "send"])
    return provider.shutdown
