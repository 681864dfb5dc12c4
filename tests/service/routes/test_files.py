import importlib.util

import numpy as np
import pytest
import torch

from crlso.spaces import get_space

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
EXPORT, DRAWING = "/v1/spaces/nasbench201/export", "/v1/spaces/nasbench201/drawing"


def test_any_architecture_is_drawn(client):
    response = client.get(DRAWING, params={"architecture": CELL})
    assert response.headers["content-type"] == "image/svg+xml"
    space = get_space("nasbench201")
    assert response.text == space.draw(space.parse(CELL))


def test_the_script_builds_the_network(client, tmp_path):
    query = {"architecture": CELL, "format": "python", "num_classes": 7, "channels": 1, "size": 16}
    response = client.get(EXPORT, params=query)
    assert response.headers["content-type"].startswith("text/x-python")
    assert response.headers["content-disposition"] == 'attachment; filename="architecture.py"'
    (tmp_path / "script.py").write_bytes(response.content)
    spec = importlib.util.spec_from_file_location("script", tmp_path / "script.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.ARCHITECTURE == CELL
    assert script.build()(torch.zeros(2, 1, 16, 16)).shape == (2, 7)


@pytest.mark.parametrize("name", ["nasbench101", "darts", "mobile", "darts-flexible"])
def test_scripts_of_other_spaces_are_programs_that_hold_the_notation(client, name):
    card = next(card for card in client.get("/v1/spaces").json()["spaces"] if card["name"] == name)
    response = client.get(f"/v1/spaces/{name}/export", params={"architecture": card["example"], "format": "python"})
    found = {}
    exec(response.text.split("def build")[0].replace("import crlso\n", ""), found)
    assert found["ARCHITECTURE"] == card["example"]


def test_a_flexible_space_of_another_depth_is_drawn_and_built_like_the_usual_one(client):
    arch = get_space("darts-flexible@3").sample(1, np.random.default_rng(0))[0]
    drawing = client.get("/v1/spaces/darts-flexible@3/drawing", params={"architecture": arch.text})
    assert drawing.text == get_space("darts-flexible@3").draw(arch)
    query = {"architecture": arch.text, "format": "python"}
    assert "get_space('darts-flexible@3')" in client.get("/v1/spaces/darts-flexible@3/export", params=query).text


def test_onnx_is_a_file_or_the_name_of_what_is_missing(client, check_problem):
    response = client.get(EXPORT, params={"architecture": CELL, "format": "onnx", "size": 8})
    if all(importlib.util.find_spec(package) for package in ("onnx", "onnxscript", "onnxruntime")):
        assert response.headers["content-type"] == "model/onnx"
        assert len(response.content) > 1_000_000
    else:
        assert "crlso[onnx]" in check_problem(response, 422, "unsolvable-problem")["detail"]


@pytest.mark.parametrize(
    ("path", "query", "status", "slug"),
    [
        (EXPORT, {"architecture": "|none~9|", "format": "python"}, 422, "invalid-architecture"),
        (EXPORT, {"architecture": CELL, "format": "pickle"}, 422, "invalid-request"),
        (EXPORT, {"architecture": CELL, "format": "onnx", "size": 100_000}, 422, "invalid-request"),
        (EXPORT, {"format": "onnx"}, 422, "invalid-request"),
        (DRAWING, {}, 422, "invalid-request"),
        (DRAWING, {"architecture": "x" * 20_000}, 422, "invalid-architecture"),
        (DRAWING, {"architecture": "x" * 20_001}, 422, "invalid-request"),
        (DRAWING, {"architecture": "<script>"}, 422, "invalid-architecture"),
        ("/v1/spaces/nowhere/drawing", {"architecture": CELL}, 404, "unknown-name"),
        ("/v1/spaces/..%2Fmine.yaml/drawing", {"architecture": CELL}, 404, "no-such-path"),
        ("/v1/spaces/mine.yaml/export", {"architecture": CELL, "format": "python"}, 404, "unknown-name"),
    ],
)
def test_what_cannot_be_written_is_a_problem(client, check_problem, path, query, status, slug):
    check_problem(client.get(path, params=query), status, slug)


def test_a_space_without_networks_is_drawn_but_not_built(client, check_problem, monkeypatch):
    monkeypatch.setattr("service.routes.files.has_networks", lambda space: space == "mobile")
    refused = client.get(EXPORT, params={"architecture": CELL, "format": "python"})
    assert "mobile" in check_problem(refused, 404, "unknown-name")["detail"]
