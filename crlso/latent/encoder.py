"""Graph encoder: message passing that follows the algebra of the architecture itself.

CR-LSO [Rao2022]_ runs three rounds of messages over both directions of every edge and adds up the nodes. Here a
message is what the architecture computes, in H dimensions instead of feature maps: with h_v the value of expression v,

    h_v = Σ_{(o, u) in v} φ_o(h_u),    φ_o(h) = B_o (a(A_o h + b_o) - a(b_o)),    φ_PASS(h) = h,    φ_o(0) = 0,   (1)

sources have learned values and the latent is read off the root. Sums, skips and dead branches mean the same to the
encoder as to the network: isomorphic cells and relabelled nodes have the same latent by construction (decision 1).

.. [Rao2022] X. Rao, B. Zhao, X. Yi, D. Liu. CR-LSO: Convex Neural Architecture Optimization in the Latent Space of
   Graph Variational Autoencoder with Input Convex Neural Networks. arXiv 2211.05950.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from crlso.architecture import Schema
from crlso.graphs import PASS, Forest, operations


class ExpressionConv(MessagePassing):  # type: ignore[misc]  # torch_geometric has no types
    """Adds up the terms (1) of one layer of a forest."""

    def __init__(self, hidden: int, schema: Schema) -> None:
        super().__init__(aggr="sum")
        scale = hidden**-0.5
        names = [str(operation) for operation in operations(schema)]
        # One parameter an operation: slices of a stacked one would cost a scatter each in the backward pass.
        self.inner = nn.ParameterDict({name: scale * torch.randn(hidden, hidden) for name in names})  # A in (1)
        self.outer = nn.ParameterDict({name: scale * torch.randn(hidden, hidden) for name in names})  # B in (1)
        self.bias = nn.ParameterDict({name: torch.zeros(hidden) for name in names})

    def forward(
        self, h: Float[Tensor, "V H"], edge_index: Int[Tensor, "2 W"], counts: tuple[int, ...]
    ) -> Float[Tensor, "V H"]:
        """Sums of terms; rows that are no target of this layer are zero."""
        terms: Tensor = self.propagate(edge_index, h=h, counts=counts)
        return terms

    def message(self, h_j: Float[Tensor, "W H"], counts: tuple[int, ...]) -> Float[Tensor, "W H"]:
        """One operation after the other on its run of the terms."""
        runs = h_j.split(counts)
        return torch.cat([self._send(operation, run) for operation, run in enumerate(runs) if len(run)])

    def _send(self, operation: int, h: Float[Tensor, "W H"]) -> Float[Tensor, "W H"]:
        if operation == PASS:
            return h
        name = str(operation)
        bias = self.bias[name]
        terms: Tensor = (F.silu(torch.addmm(bias, h, self.inner[name])) - F.silu(bias)) @ self.outer[name]
        return terms


class GraphEncoder(nn.Module):
    """Forest of expressions → features of each graph."""

    def __init__(self, hidden: int, schema: Schema) -> None:
        super().__init__()
        self.conv = ExpressionConv(hidden, schema)
        self.source_values = nn.Parameter(torch.randn(len(schema.node_types), hidden))
        self.readout = nn.Sequential(nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())

    def forward(self, forest: Forest) -> Float[Tensor, "B H"]:
        """Features of the graphs in the order of the forest's roots."""
        is_source = (forest.sources >= 0).unsqueeze(1)
        h = torch.where(is_source, self.source_values[forest.sources.clamp(min=0)], 0.0)
        for layer in forest.layers:
            h = h + self.conv(h, layer.edge_index, layer.counts)
        features: Tensor = self.readout(h[forest.roots])
        return features
