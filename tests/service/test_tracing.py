"""Every request leaves a span that names the path as the routes do."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from service.tracing import trace

in_memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
pytest.importorskip("opentelemetry.instrumentation.asgi")


def test_a_span_a_request():
    app, exporter = FastAPI(version="1"), in_memory.InMemorySpanExporter()

    @app.get("/things/{name}")
    def show(name: str) -> str:
        return name

    finish = trace(app, exporter)
    with TestClient(app) as client:
        client.get("/things/secret")
    finish()
    (span,) = exporter.get_finished_spans()
    assert span.attributes["http.method"] == "GET"
    assert span.resource.attributes["service.name"] == "crlso"
