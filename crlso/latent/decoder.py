"""Decoder: latent → logits of the node and edge types of a graph, all at once.

CR-LSO's decoder is two residual layers behind a tanh; here it is a plain perceptron. Entries that a typed DAG does
not have, the diagonal and below, have no output, and `SearchSpace.masked` picks the most likely *valid* graph.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from crlso.architecture import Schema
from crlso.exceptions import ProblemError
from crlso.graphs import ABSENT, Padded

_CERTAIN = 10.0  # logit of what is the same in all graphs
_MOST_OUTPUTS = 2**17  # of one graph; a climb decodes some 4,000 at once, which are 4 GB of logits then


class GraphDecoder(nn.Module):
    """Multilayer perceptron with one output for each entry of a typed DAG of the schema's size."""

    pairs: Tensor
    free_nodes: Tensor
    free_pairs: Tensor
    rows: Tensor | None

    def __init__(self, latent: int, hidden: int, schema: Schema) -> None:
        """Lay out the outputs.

        Raises:
            ProblemError: the graphs are too large and have too many types to be written all at once.
        """
        super().__init__()
        self.shape = schema.num_nodes, len(schema.node_types)
        self.edge_types = len(schema.edge_types)
        self.register_buffer("pairs", torch.triu_indices(schema.num_nodes, schema.num_nodes, 1), persistent=False)
        self.register_buffer("free_nodes", torch.ones(schema.num_nodes, dtype=torch.bool), persistent=False)
        self.register_buffer("free_pairs", torch.ones(self.pairs.shape[1], dtype=torch.bool), persistent=False)
        self.register_buffer("rows", None, persistent=False)
        self.num_outputs = outputs = self.shape[0] * self.shape[1] + self.pairs.shape[1] * self.edge_types
        if outputs > _MOST_OUTPUTS:
            raise ProblemError(
                f"graphs of {schema.num_nodes} nodes and {len(schema.edge_types)} edge types take {outputs:,} outputs "
                f"of a decoder, which may have {_MOST_OUTPUTS:,}: search without a latent space, as gp does, or search "
                "a space of fewer cells or operations"
            )
        self.trunk = nn.Sequential(
            nn.Linear(latent, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, outputs)
        )

    def forward(self, z: Float[Tensor, "B Z"]) -> tuple[Float[Tensor, "B N T"], Float[Tensor, "B N N E"]]:
        """Logits of every node's and every edge's type; zero where a DAG has no edge."""
        nodes, pairs = self._logits(z)
        edges = z.new_zeros(len(z), self.shape[0], self.shape[0], self.edge_types)
        edges[:, self.pairs[0], self.pairs[1]] = pairs
        return nodes, edges

    @torch.no_grad()
    def settle(self, graphs: Padded) -> None:
        """Write what all of these graphs share into the biases, once; only the rest is trained from then on."""
        last = cast(nn.Linear, self.trunk[-1])
        nodes, pairs = graphs.node_types, graphs.edge_types[:, self.pairs[0], self.pairs[1]]
        self.free_nodes, self.free_pairs = ((types != types[0]).any(dim=0) for types in (nodes, pairs))
        parts = ((nodes, self.free_nodes, self.shape[1]), (pairs, self.free_pairs, self.edge_types))
        free = torch.cat([which.repeat_interleave(kinds) for _, which, kinds in parts])
        shared = torch.cat([F.one_hot(types[0].long().clamp(min=0), kinds).flatten() for types, _, kinds in parts])
        last.weight[~free] = 0.0
        last.bias[~free] = _CERTAIN * shared[~free].to(last.bias.dtype)
        self.rows = free.nonzero().squeeze(1)

    def cross_entropy(self, z: Float[Tensor, "B Z"], graphs: Padded) -> Float[Tensor, ""]:
        """Mean over nodes plus mean over possible edges, in nats, of writing what is not settled of graphs."""
        hidden, last = self.trunk[:-1](z), cast(nn.Linear, self.trunk[-1])
        flat = F.linear(hidden, last.weight[self.rows], last.bias[self.rows]) if self.rows is not None else last(hidden)
        nodes = graphs.node_types[:, self.free_nodes]
        pairs = graphs.edge_types[:, self.pairs[0], self.pairs[1]][:, self.free_pairs]
        split = nodes.shape[1] * self.shape[1]
        loss = z.new_zeros(())
        for logits, types, kinds in (
            (flat[:, :split], nodes, self.shape[1]),
            (flat[:, split:], pairs, self.edge_types),
        ):
            if types.numel():
                loss = loss + F.cross_entropy(logits.reshape(-1, kinds), types.flatten().long(), ignore_index=ABSENT)
        return loss

    def _logits(self, z: Tensor) -> tuple[Tensor, Tensor]:
        flat = self.trunk(z)
        split = self.shape[0] * self.shape[1]
        return flat[:, :split].unflatten(1, self.shape), flat[:, split:].unflatten(1, (-1, self.edge_types))
