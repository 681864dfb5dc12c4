"""What a typed DAG computes, as a text: the semantics of `crlso.graphs` without tensors.

The value of a node is the sum of what its incoming edges bring, sent through the node's own operation; the result is
the sum of the sinks' values. A sum is written as its terms in order, those of inner sums among them; absent edges and
zero edges bring nothing, so that dead parts leave no trace. Two graphs have the same text exactly where `Forest` has
the same root for them. A sum that stands inside a term is written in full while it is short, and as a digest of itself
once it is long, or texts would double in length from node to node.
"""

from __future__ import annotations

import hashlib
from collections import Counter

from crlso.architecture import Graph, Schema

_LONGEST = 64  # characters of an inner sum that is written in full


def expression(graph: Graph, schema: Schema) -> str:
    """The graph's result; empty where nothing reaches a sink."""
    kinds = [schema.node_types[code] for code in graph.node_types.tolist()]
    values: list[Counter[str]] = []
    result: Counter[str] = Counter()
    for kind, column in zip(kinds, graph.edge_types.T.tolist(), strict=True):
        value = Counter({kind: 1} if kind in schema.sources else {})
        for code, inner in zip(column, values, strict=False):  # the sources that come before
            edge = schema.edge_types[code]
            if not code or not inner or edge in schema.zero_edges:
                continue
            value.update(inner if edge in schema.identity_edges else {f"{edge}({_inner(inner)})": 1})
        if value and kind not in schema.identity_nodes:
            value = Counter({f"{kind}[{_inner(value)}]": 1})
        values.append(value)
        if kind in schema.sinks:
            result.update(value)
    return _sum(result)


def shortened(text: str) -> str:
    """A text while it is short, a digest of it once it is long."""
    return text if len(text) <= _LONGEST else f"#{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def _sum(value: Counter[str]) -> str:
    return "+".join(term if count == 1 else f"{count}*{term}" for term, count in sorted(value.items()))


def _inner(value: Counter[str]) -> str:
    return shortened(_sum(value))
