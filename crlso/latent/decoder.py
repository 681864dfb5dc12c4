"""Decoder: latent → logits of the node and edge types of a graph, all at once.

CR-LSO's decoder is two residual layers behind a tanh; here it is a plain perceptron. Entries that a typed DAG does
not have, the diagonal and below, have no output, and `SearchSpace.masked` picks the most likely *valid* graph.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from crlso.architecture import Schema


class GraphDecoder(nn.Module):
    """Multilayer perceptron with one output for each entry of a typed DAG of the schema's size."""

    pairs: Tensor

    def __init__(self, latent: int, hidden: int, schema: Schema) -> None:
        super().__init__()
        self.shape = schema.num_nodes, len(schema.node_types)
        self.edge_types = len(schema.edge_types)
        self.register_buffer("pairs", torch.triu_indices(schema.num_nodes, schema.num_nodes, 1), persistent=False)
        outputs = self.shape[0] * self.shape[1] + self.pairs.shape[1] * self.edge_types
        self.trunk = nn.Sequential(
            nn.Linear(latent, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, outputs)
        )

    def forward(self, z: Float[Tensor, "B Z"]) -> tuple[Float[Tensor, "B N T"], Float[Tensor, "B N N E"]]:
        """Logits of every node's and every edge's type; zero where a DAG has no edge."""
        nodes, pairs = self._logits(z)
        edges = z.new_zeros(len(z), self.shape[0], self.shape[0], self.edge_types)
        edges[:, self.pairs[0], self.pairs[1]] = pairs
        return nodes, edges

    def cross_entropy(
        self, z: Float[Tensor, "B Z"], node_types: Int[Tensor, "B N"], edge_types: Int[Tensor, "B N N"]
    ) -> Float[Tensor, ""]:
        """Mean over nodes plus mean over possible edges, in nats, of writing the given graphs."""
        nodes, pairs = self._logits(z)
        targets = edge_types[:, self.pairs[0], self.pairs[1]]
        return F.cross_entropy(nodes.flatten(0, 1), node_types.flatten()) + F.cross_entropy(
            pairs.flatten(0, 1), targets.flatten()
        )

    def _logits(self, z: Tensor) -> tuple[Tensor, Tensor]:
        flat = self.trunk(z)
        split = self.shape[0] * self.shape[1]
        return flat[:, :split].unflatten(1, self.shape), flat[:, split:].unflatten(1, (-1, self.edge_types))
