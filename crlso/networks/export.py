"""Architectures as files that other tools read: PyTorch programs, ONNX, drawings and JSON."""

from __future__ import annotations

import copy
import io
import json
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from crlso.architecture import Architecture
from crlso.exceptions import ProblemError, unknown
from crlso.networks import build, costs
from crlso.spaces import get_space

FORMATS = ("torch", "onnx", "svg", "json")
"""What `export` writes."""

_BATCH = 2  # a traced batch of one would become a constant instead of a free dimension
_TOLERANCE = 1e-3  # of the largest logit; sums of float32 in another order stay far below


def export(
    arch: Architecture,
    path: Path | str,
    format: str,
    *,
    num_classes: int = 10,
    input_shape: tuple[int, int, int] = (3, 32, 32),
    network: nn.Module | None = None,
) -> Path:
    """Write an architecture to a file, replacing what was there, and return the file's path.

    Args:
        arch: what to write.
        path: where to; its folder must exist.
        format: `torch` (a `torch.export` program, .pt2) or `onnx`, both in evaluation mode on float images with
            a free batch dimension; `svg` (drawing); `json` (notation, graph and costs).
        num_classes: logits of the network.
        input_shape: (C, H, W) of one image.
        network: a trained network to write, which is left as it is; a freshly built one when left out.

    Raises:
        UnknownNameError: there is no such format.
        ProblemError: the format needs packages that are missing, or the ONNX file would compute something else.
    """
    match format:
        case "svg":
            content = get_space(arch.space).draw(arch).encode()
        case "json":
            content = _document(arch, num_classes, input_shape).encode()
        case "torch" | "onnx":
            network = build(arch, num_classes, input_shape) if network is None else network
            content = (_torch_program if format == "torch" else _onnx_model)(network, input_shape)
        case _:
            raise unknown("export format", format, FORMATS)
    Path(path).write_bytes(content)
    return Path(path)


def _document(arch: Architecture, num_classes: int, input_shape: tuple[int, int, int]) -> str:
    schema = get_space(arch.space).schema
    present = zip(*arch.graph.edge_types.nonzero(), strict=True)
    cost = costs(arch, num_classes, input_shape)
    document = {
        "space": arch.space,
        "architecture": arch.text,
        "graph": {
            "nodes": [schema.node_types[code] for code in arch.graph.node_types],
            "edges": [
                {"source": int(i), "target": int(j), "type": schema.edge_types[arch.graph.edge_types[i, j]]}
                for i, j in present
            ],
        },
        "num_classes": num_classes,
        "input_shape": input_shape,
        "params": cost.params,
        "flops": cost.flops,
    }
    return json.dumps(document, indent=2) + "\n"


def _torch_program(network: nn.Module, input_shape: tuple[int, int, int]) -> bytes:
    program = _trace(*_example(network, input_shape))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def _onnx_model(network: nn.Module, input_shape: tuple[int, int, int]) -> bytes:
    runtime = [_require(package) for package in ("onnx", "onnxscript", "onnxruntime")][-1]
    network, images = _example(network, input_shape)
    traced = _trace(network, images)
    program = torch.onnx.export(traced, input_names=["images"], output_names=["logits"], dynamo=True, verbose=False)
    content: bytes = cast("torch.onnx.ONNXProgram", program).model_proto.SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {"images": images.numpy()})
    _compare(logits, network(images).detach().numpy())
    return content


def _require(package: str) -> ModuleType:
    try:
        return import_module(package)
    except ImportError as error:
        raise ProblemError(f"export to onnx needs the package {package}: pip install 'crlso[onnx]'") from error


def _compare(logits: Float[np.ndarray, "B K"], expected: Float[np.ndarray, "B K"]) -> None:
    error, scale = np.abs(logits - expected).max(), np.abs(expected).max()
    if not error <= _TOLERANCE * scale:
        raise ProblemError(
            f"the ONNX model's logits are off by {error:.2g} of {scale:.2g}, so it was not written; "
            "export to torch instead, or with another version of onnxscript"
        )


def _example(network: nn.Module, input_shape: tuple[int, int, int]) -> tuple[nn.Module, Float[Tensor, "B C H W"]]:
    network = copy.deepcopy(network).cpu().eval()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(_BATCH, *input_shape, generator=generator, dtype=next(network.parameters()).dtype)
    return network, images


def _trace(network: nn.Module, images: Float[Tensor, "B C H W"]) -> torch.export.ExportedProgram:
    return torch.export.export(network, (images,), dynamic_shapes=({0: torch.export.Dim("batch")},))
