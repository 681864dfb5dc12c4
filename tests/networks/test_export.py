"""Every file says the same as the architecture or network it was written from."""

import json
import sys
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from crlso.architecture import Graph
from crlso.exceptions import ProblemError, UnknownNameError
from crlso.networks import build, costs
from crlso.networks.export import _compare, export
from crlso.networks.nasbench201 import NasBench201Network
from crlso.spaces import get_space

SPACE = get_space("nasbench201")
ARCH = SPACE.parse("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|avg_pool_3x3~1|none~2|")
SHAPE = (1, 9, 6)
IMAGES = torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def trained():
    """A small network whose batch statistics differ from the initial ones, in training mode."""
    torch.manual_seed(0)
    network = NasBench201Network(ARCH, 4, 1, width=4, cells=1)
    network(IMAGES * 3 + 1)
    return network


def test_json_holds_notation_graph_and_costs(tmp_path):
    document = json.loads(export(ARCH, tmp_path / "a.json", "json", num_classes=4, input_shape=SHAPE).read_text())
    schema = SPACE.schema
    edges = np.zeros((4, 4), dtype=int)
    for edge in document["graph"]["edges"]:
        edges[edge["source"], edge["target"]] = schema.edge_types.index(edge["type"])
    nodes = np.array([schema.node_types.index(name) for name in document["graph"]["nodes"]])
    assert SPACE.from_graph(Graph(nodes, edges)).text == ARCH.text == document["architecture"]
    cost = costs(ARCH, 4, SHAPE)
    assert (document["params"], document["flops"]) == (cost.params, cost.flops)
    assert get_space(document["space"]).parse(document["architecture"]) == ARCH


def test_svg_is_the_spaces_drawing(tmp_path):
    text = export(ARCH, tmp_path / "a.svg", "svg").read_text(encoding="utf-8")
    assert text == SPACE.draw(ARCH)
    assert ET.fromstring(text).tag.endswith("svg")


def test_torch_program_computes_what_the_network_does_for_any_batch(tmp_path, trained):
    path = export(ARCH, tmp_path / "a.pt2", "torch", input_shape=SHAPE, network=trained)
    assert trained.training, "the caller's network was switched to evaluation"
    program = torch.export.load(path).module()
    trained.eval()
    for images in (IMAGES, IMAGES[:1]):
        assert_close(program(images), trained(images))


def test_torch_program_of_a_fresh_network_has_the_asked_shape(tmp_path):
    path = export(ARCH, tmp_path / "a.pt2", "torch", num_classes=7, input_shape=(2, 8, 8))
    assert torch.export.load(path).module()(torch.zeros(1, 2, 8, 8)).shape == (1, 7)


@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_onnx_computes_what_the_network_does_for_any_batch(tmp_path, trained):
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    runtime = pytest.importorskip("onnxruntime")
    path = export(ARCH, tmp_path / "a.onnx", "onnx", input_shape=SHAPE, network=trained)
    session = runtime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"images": IMAGES.numpy()})
    assert_close(torch.from_numpy(logits), trained.eval()(IMAGES), rtol=1e-4, atol=1e-5)


def test_missing_onnx_package_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ProblemError, match=r"package onnx: pip install 'crlso\[onnx\]'"):
        export(ARCH, tmp_path / "a.onnx", "onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [1.01, np.nan])
def test_logits_that_differ_are_not_passed_over(wrong):
    logits = np.array([[0.5, -1.0]])
    with pytest.raises(ProblemError, match="not written"):
        _compare(wrong * logits, logits)


def test_unknown_format_lists_the_known_ones(tmp_path):
    with pytest.raises(UnknownNameError, match=r"'caffe'.*json.*onnx.*svg.*torch"):
        export(ARCH, tmp_path / "a", "caffe")
    assert not list(tmp_path.iterdir())


def test_existing_file_survives_a_refused_export(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("precious")
    with pytest.raises(ProblemError, match="num_classes"):
        export(ARCH, path, "json", num_classes=0)
    assert path.read_text() == "precious"


def test_built_network_is_not_the_callers(tmp_path):
    network = build(ARCH, 4, SHAPE)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    export(ARCH, tmp_path / "a.pt2", "torch", input_shape=SHAPE, network=network)
    for name, value in network.state_dict().items():
        assert_close(value, before[name], rtol=0, atol=0)
