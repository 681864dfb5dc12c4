"""Graph encoder for spaces too large to enumerate: message passing over numbered nodes.

CR-LSO [Rao2022]_ passes messages between typed nodes and adds these up, so that two graphs may share a latent although
their nodes are joined otherwise; D-VAE [Zhang2019]_ tells nodes apart by the order of its updates. Here node v has a
place, and so has every edge:

    h_v = a(N[v, t_v] + Σ_{u→v} E[u, v, t_uv]),    h'_v = a(h_v A + Σ_{u→v} h_u ⊙ G[t_uv] + b),                     (1)

and the features are read off all h' and h side by side. What the decoder has to write is thus in plain sight of the
readout. Places mean something for canonical graphs alone: take `SearchSpace.canonical` first and twins are one graph,
hence one latent.

.. [Rao2022] X. Rao, B. Zhao, X. Yi, D. Liu. CR-LSO. arXiv 2211.05950.
.. [Zhang2019] M. Zhang, S. Jiang, Z. Cui, R. Garnett, Y. Chen. D-VAE: A Variational Autoencoder for Directed Acyclic
   Graphs. NeurIPS 2019.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from crlso.architecture import Schema
from crlso.graphs import Padded

_WIDTH = 8  # a node has an eighth of the width of the features: there are many nodes


class PlacedConv(MessagePassing):  # type: ignore[misc]  # torch_geometric has no types
    """The second half of (1): what arrives at a node, each message scaled by the type of its edge."""

    def __init__(self, width: int, edge_types: int) -> None:
        super().__init__(aggr="sum")
        self.gates = nn.Embedding(edge_types, width)
        self.own = nn.Linear(width, width)

    def forward(
        self, h: Float[Tensor, "V W"], edge_index: Int[Tensor, "2 A"], types: Int[Tensor, "A"]
    ) -> Float[Tensor, "V W"]:
        """Features of all nodes after one round of messages."""
        arrived: Tensor = self.propagate(edge_index, h=h, gate=self.gates(types))
        return F.silu(self.own(h) + arrived)

    def message(self, h_j: Float[Tensor, "A W"], gate: Float[Tensor, "A W"]) -> Float[Tensor, "A W"]:
        """The source through the edge."""
        return h_j * gate


class PlacedEncoder(nn.Module):
    """Padded canonical graphs → features of each graph."""

    def __init__(self, hidden: int, schema: Schema) -> None:
        super().__init__()
        n, width = schema.num_nodes, max(1, hidden // _WIDTH)
        self.num_nodes, self.node_kinds = n, 1 + len(schema.node_types)  # places may be empty
        self.nodes = nn.Embedding(n * self.node_kinds, width)
        self.edges = nn.Embedding(len(schema.edge_types) * n * n, width)
        self.conv = PlacedConv(width, len(schema.edge_types))
        self.readout = nn.Sequential(nn.Linear(2 * n * width, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())

    def forward(self, graphs: Padded) -> Float[Tensor, "B H"]:
        """Features of the graphs in their order."""
        n, device = self.num_nodes, graphs.node_types.device
        batch, sources, targets = graphs.edge_types.nonzero(as_tuple=True)
        types = graphs.edge_types[batch, sources, targets].long()
        edge_index = batch * n + torch.stack([sources, targets])
        places = torch.arange(n, device=device) * self.node_kinds
        h = self.nodes((graphs.node_types.long() + 1 + places).flatten())
        h = F.silu(h.index_add(0, edge_index[1], self.edges((types * n + sources) * n + targets)))
        both = torch.cat([h, self.conv(h, edge_index, types)], dim=1)
        features: Tensor = self.readout(both.view(len(graphs), -1))
        return features
