"""The figures at /metrics are those of what happened."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.store.database import StoreError
from service.store.jobs import JobStore


def read(client):
    answer = client.get("/metrics")
    assert answer.status_code == 200
    families = text_string_to_metric_families(answer.text)
    return {(s.name, *sorted(s.labels.items())): s.value for family in families for s in family.samples}


def test_requests_and_proposals_are_counted(client):
    client.post("/optimize", json={"num_architectures": 3})
    client.get("/v1/studies/0000000000000000")
    client.get("/no/such/path")
    found = read(client)
    requests = {key[1:]: value for key, value in found.items() if key[0] == "crlso_requests_total"}
    assert requests[("method", "POST"), ("path", "/optimize"), ("status", "200")] == 1
    assert requests[("method", "GET"), ("path", "/v1/studies/{study}"), ("status", "404")] == 1
    assert requests[("method", "GET"), ("path", "none of them"), ("status", "404")] == 1
    assert found["crlso_proposals_total", ("measured", "no")] == 3
    assert found["crlso_manifold_gap_count", ("model", "alpha")] == 3
    assert found["crlso_compute_seconds_count",] == 1
    assert found["crlso_queue_seconds_count",] == 1


def test_models_and_jobs_are_shown_as_they_are(client):
    found = read(client)
    labels = {"digest": "d" * 64, "metric": "val_accuracy", "model": "alpha", "space": "nasbench201"}
    assert found["crlso_model", *sorted(labels.items())] == 1
    assert found["crlso_jobs", ("state", "queued")] == 0
    assert found["process_resident_memory_bytes",] > 0


def test_figures_are_read_while_the_record_is_away(client, monkeypatch):
    def away(_):
        raise StoreError("away")

    monkeypatch.setattr(JobStore, "counts", away)
    assert not [key for key in read(client) if key[0] == "crlso_jobs"]


@pytest.mark.parametrize("path", ["/a", "/b", "/c%0Ad"])
def test_paths_nobody_knows_make_no_figures_of_their_own(client, path):
    client.get(path)
    assert not re.search(r'path="/[abc]', client.get("/metrics").text)
