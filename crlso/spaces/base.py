"""The contract of a search space: what can be built, independent of any tensor library.

A space is pure: it imports no torch and holds no state beyond caches. `crlso.testing.check_space` asserts the
laws stated here for any implementation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from crlso.architecture import Architecture, Graph, Schema


class SearchSpace(ABC):
    """A set of architectures with one native notation and one graph form."""

    name: str
    schema: Schema
    size: int
    """How many architectures the space has, isomorphic twins counted apart."""
    enumerable: bool = True
    """Whether `enumerate` walks through them in seconds."""
    one_representative: bool = True
    """Whether `canonical` is the same for all twins; where finding it would be a search, only their key is."""
    source: str | None = None
    """The description that a user's space was read from; None for a space that comes with crlso."""
    options: tuple[tuple[str, ...], ...]
    """The decisions that make an architecture, each with the names of what can be chosen."""

    @abstractmethod
    def parse(self, text: str) -> Architecture:
        """Read the native notation.

        Raises:
            ArchitectureError: the text is not an architecture of this space.
        """

    @abstractmethod
    def from_graph(self, graph: Graph) -> Architecture:
        """The architecture that a graph of this space's schema describes."""

    @abstractmethod
    def choices(self, arch: Architecture) -> tuple[int, ...]:
        """What was chosen in each decision, as an index into its options."""

    @abstractmethod
    def from_choices(self, choices: Sequence[int]) -> Architecture:
        """The architecture that follows from the decisions; `choices` gives them back.

        Raises:
            ArchitectureError: they do not fit together, or there is no such option.
        """

    @abstractmethod
    def masked(
        self, node_logits: Float[np.ndarray, "B N T"], edge_logits: Float[np.ndarray, "B N N E"]
    ) -> tuple[Int[np.ndarray, "B N"], Int[np.ndarray, "B N N"]]:
        """Node and edge types of the most likely *valid* graph under the logits, row by row."""

    @abstractmethod
    def sample(self, n: int, rng: np.random.Generator) -> list[Architecture]:
        """Draw n distinct architectures uniformly.

        Raises:
            ProblemError: the space has fewer than n.
        """

    @abstractmethod
    def enumerate(self) -> Iterator[Architecture]:
        """All architectures, in a fixed order.

        Raises:
            ProblemError: the space is too large to walk through.
        """

    @abstractmethod
    def canonical(self, arch: Architecture) -> Architecture:
        """The representative of the isomorphism class: idempotent and, where there is one, the same for all twins."""

    @abstractmethod
    def neighbours(self, arch: Architecture) -> list[Architecture]:
        """All architectures one elementary change away, twins of the argument included."""

    @abstractmethod
    def draw(self, arch: Architecture) -> str:
        """The architecture as a stand-alone SVG document."""

    def format(self, arch: Architecture) -> str:
        """The native notation; `parse` reads it back to the same text."""
        return arch.text

    def to_graph(self, arch: Architecture) -> Graph:
        """The typed DAG; `from_graph` turns it back into the same text."""
        return arch.graph

    def decode(
        self, node_logits: Float[np.ndarray, "B N T"], edge_logits: Float[np.ndarray, "B N N E"]
    ) -> list[Architecture]:
        """The most likely valid architecture under the logits, one a row."""
        nodes, edges = self.masked(node_logits, edge_logits)
        return [self.from_graph(Graph(n, e)) for n, e in zip(nodes, edges, strict=True)]
