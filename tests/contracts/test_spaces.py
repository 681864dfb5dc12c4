"""Every registered space passes the conformance suite, and the suite catches spaces that break a law."""

from dataclasses import replace

import numpy as np
import pytest

from crlso.architecture import Graph
from crlso.exceptions import ArchitectureError
from crlso.spaces import NasBench201, get_space, space_names
from crlso.spaces.darts_flexible import FAMILIES
from crlso.testing import check_space
from crlso.testing.spaces import (
    check_choices,
    check_decoding,
    check_drawings,
    check_graphs,
    check_notation,
    check_sampling,
)


@pytest.mark.parametrize("name", sorted({*space_names()} - {*FAMILIES}))
@pytest.mark.parametrize("seed", range(2))
def test_registered_spaces_conform(name, seed):
    check_space(get_space(name), np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("name", "n"), [("darts-flexible-dnad@3", 6), ("darts-flexible-dnad@5", 2), ("darts-flexible@3", 2)]
)
def test_flexible_spaces_conform(name, n):
    """Of few cells and on few samples: each has hundreds of neighbours."""
    check_space(get_space(name), np.random.default_rng(0), n=n)


def test_registered_flexible_spaces_conform_but_for_their_neighbours():
    rng = np.random.default_rng(0)
    for space in map(get_space, FAMILIES):
        archs = check_sampling(space, rng, 20)
        check_notation(space, archs)
        check_choices(space, archs)
        check_graphs(space, archs)
        check_decoding(space, archs[:3], rng, 3)
        check_drawings(space, archs)


class Repeats(NasBench201):
    def sample(self, n, rng):
        return super().sample(n - 1, rng) + super().sample(1, rng) if n < 3 else [*super().sample(n - 1, rng)] * 2


class Unseeded(NasBench201):
    def sample(self, n, rng):
        return super().sample(n, rng if n > self.size else np.random.default_rng())


class Overfull(NasBench201):
    def sample(self, n, rng):
        return super().sample(min(n, self.size), rng)


class Credulous(NasBench201):
    def parse(self, text):
        try:
            return super().parse(text)
        except ArchitectureError:
            return super().parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")


class Forgetful(NasBench201):
    def parse(self, text):
        return self.canonical(super().parse(text))


class Unchoosy(NasBench201):
    def choices(self, arch):
        return super().choices(arch)[::-1]


class Backward(NasBench201):
    def to_graph(self, arch):
        return Graph(arch.graph.node_types, arch.graph.edge_types + np.eye(4, dtype=int))


class Transposing(NasBench201):
    def from_graph(self, graph):
        return super().from_graph(Graph(graph.node_types, graph.edge_types[::-1, ::-1].T))


class Contrary(NasBench201):
    def masked(self, node_logits, edge_logits):
        return super().masked(node_logits, -edge_logits)


class Narcissist(NasBench201):
    def neighbours(self, arch):
        return [*super().neighbours(arch), arch]


class OneWay(NasBench201):
    def neighbours(self, arch):
        return [other for other in super().neighbours(arch) if other.text > arch.text]


class Stay(NasBench201):
    def canonical(self, arch):
        return arch


class Stray(NasBench201):
    def canonical(self, arch):
        return self.neighbours(arch)[0]


class Rekeyed(NasBench201):
    def canonical(self, arch):
        return replace(super().canonical(arch), key="one for all")


class Scribble(NasBench201):
    def draw(self, arch):
        return f"<svg><title>{arch.text}<title></svg>"


class Html(NasBench201):
    def draw(self, arch):
        return "<html/>"


@pytest.mark.parametrize(
    ("space", "complaint"),
    [
        (Repeats, "architectures"),
        (Unseeded, "not reproducible"),
        (Overfull, "must raise ProblemError"),
        (Credulous, "must raise ArchitectureError"),
        (Forgetful, "parse∘format changed"),
        (Unchoosy, "from_choices∘choices changed"),
        (Backward, "not strictly upper triangular"),
        (Transposing, "from_graph∘to_graph changed"),
        (Contrary, "one-hot logits"),
        (Narcissist, "its own neighbour"),
        (OneWay, "not the other way round"),
        (Stay, "two representatives"),
        (Stray, "left the class"),
        (Rekeyed, "left the class"),
        (Scribble, "not well-formed"),
        (Html, "not SVG"),
    ],
)
def test_broken_laws_are_named(space, complaint):
    with pytest.raises(AssertionError, match=complaint):
        check_space(space(), np.random.default_rng(0), n=100)
