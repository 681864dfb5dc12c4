"""The laws of a search space, as stated in `crlso.spaces.base`, checked on samples of any implementation."""
# ruff: noqa: S101, asserts are what this module is for

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

import numpy as np

from crlso.architecture import Architecture
from crlso.exceptions import ArchitectureError, ProblemError
from crlso.spaces.base import SearchSpace

_MANY = 12
"""Neighbours of an architecture that are looked at one by one; where there are more, a share is."""


def check_space(space: SearchSpace, rng: np.random.Generator, n: int = 200) -> None:
    """Assert that a space keeps every law of the contract.

    Args:
        space: the implementation.
        rng: where the samples come from.
        n: architectures to check the laws on, at most as many as the space has.

    Raises:
        AssertionError: a law is broken; the message says which and by what.
    """
    archs = check_sampling(space, rng, min(n, space.size))
    check_notation(space, archs)
    check_choices(space, archs)
    check_graphs(space, archs)
    check_decoding(space, archs, rng, n)
    check_neighbours(space, archs)
    check_classes(space, archs)
    check_drawings(space, archs)


def check_sampling(space: SearchSpace, rng: np.random.Generator, n: int) -> list[Architecture]:
    """Samples are distinct, follow their seed and never exceed the space; returns n of them."""
    seed = int(rng.integers(2**32))
    archs = space.sample(n, np.random.default_rng(seed))
    texts = [arch.text for arch in archs]
    assert len(texts) == n, f"sample({n}) returned {len(texts)} architectures"
    assert len(set(texts)) == n, f"sample({n}) returned only {len(set(texts))} distinct architectures"
    again = [arch.text for arch in space.sample(n, np.random.default_rng(seed))]
    assert again == texts, "sample is not reproducible: two generators of one seed gave different architectures"
    try:
        space.sample(space.size + 1, rng)
    except ProblemError:
        return archs
    raise AssertionError(f"sample({space.size + 1}) must raise ProblemError: the space has {space.size}")


def check_notation(space: SearchSpace, archs: Sequence[Architecture]) -> None:
    """Texts survive parsing and name the space; what is none is not taken for one."""
    for arch in archs:
        parsed = space.parse(space.format(arch))
        assert space.format(parsed) == space.format(arch), f"parse∘format changed {arch.text!r} to {parsed.text!r}"
        assert parsed == arch, f"parse∘format left the class of {arch.text!r}"
        assert parsed.space == space.name, f"{arch.text!r} is of space {parsed.space!r}, not {space.name!r}"
    text = archs[0].text
    for bad in ("", " ", "\0", "nonsense", text[:-1], text[1:], text + text[-1], text + text, text.swapcase()):
        try:
            read = space.parse(bad).text
        except ArchitectureError:
            continue
        assert read == bad, f"parse({bad!r}) must raise ArchitectureError, and not give {read!r}"


def check_choices(space: SearchSpace, archs: Sequence[Architecture]) -> None:
    """Decisions are within their options and lead back to the same architecture."""
    for arch in archs:
        choices = space.choices(arch)
        assert len(choices) == len(space.options), f"{arch.text!r}: {len(choices)} choices of {len(space.options)}"
        for choice, names in zip(choices, space.options, strict=True):
            assert 0 <= choice < len(names), f"{arch.text!r}: choice {choice} of {names}"
        back = space.from_choices(choices)
        assert back.text == arch.text, f"from_choices∘choices changed {arch.text!r} to {back.text!r}"


def check_graphs(space: SearchSpace, archs: Sequence[Architecture]) -> None:
    """Graphs are small enough, topologically ordered, within the vocabulary, and say all that the text says."""
    schema = space.schema
    assert schema.sources | schema.sinks | schema.identity_nodes <= set(schema.node_types), (
        "unknown node type in schema"
    )
    assert schema.identity_edges <= set(schema.edge_types[1:]), (
        "identity_edges must be edge types, and not the absent one"
    )
    for arch in archs:
        graph = space.to_graph(arch)
        nodes, edges = graph.node_types, graph.edge_types
        assert 1 <= graph.num_nodes <= schema.num_nodes, f"{arch.text!r} has {graph.num_nodes} nodes"
        assert edges.shape == (len(nodes), len(nodes)), f"{arch.text!r}: edge_types has shape {edges.shape}"
        assert not np.tril(edges).any(), f"{arch.text!r}: edge_types is not strictly upper triangular"
        assert set(nodes.tolist()) <= set(range(len(schema.node_types))), f"{arch.text!r}: unknown node type"
        assert set(edges.ravel().tolist()) <= set(range(len(schema.edge_types))), f"{arch.text!r}: unknown edge type"
        back = space.from_graph(graph)
        assert back.text == arch.text, f"from_graph∘to_graph changed {arch.text!r} to {back.text!r}"


def check_decoding(space: SearchSpace, archs: Sequence[Architecture], rng: np.random.Generator, n: int) -> None:
    """Any logits decode to an architecture, and those that name one decode to that one."""
    size, types, kinds = space.schema.num_nodes, len(space.schema.node_types), len(space.schema.edge_types)
    decoded = space.decode(rng.normal(size=(n, size, types)), rng.normal(size=(n, size, size, kinds)))
    assert len(decoded) == n, f"decode returned {len(decoded)} architectures for {n} rows"
    for arch in decoded:
        assert space.parse(arch.text).text == arch.text, f"random logits decoded to {arch.text!r}, which does not parse"
    for arch in archs:
        graph = space.to_graph(arch)
        m = graph.num_nodes
        node_logits, edge_logits = np.zeros((1, size, types)), np.zeros((1, size, size, kinds))
        node_logits[0, :m] = np.eye(types)[graph.node_types]
        edge_logits[0, :m, :m] = np.eye(kinds)[graph.edge_types]
        (back,) = space.decode(node_logits, edge_logits)
        assert back.text == arch.text, f"one-hot logits of {arch.text!r} decoded to {back.text!r}"


def check_neighbours(space: SearchSpace, archs: Sequence[Architecture]) -> None:
    """Neighbours are distinct other architectures, and of each other."""
    for arch in archs[:20]:
        texts = [neighbour.text for neighbour in space.neighbours(arch)]
        assert len(set(texts)) == len(texts), f"{arch.text!r} has a neighbour twice"
        assert arch.text not in texts, f"{arch.text!r} is its own neighbour"
        for text in texts[:: 1 + len(texts) // _MANY]:
            back = {neighbour.text for neighbour in space.neighbours(space.parse(text))}
            assert arch.text in back, f"{text!r} is a neighbour of {arch.text!r}, but not the other way round"


def check_classes(space: SearchSpace, archs: Sequence[Architecture]) -> None:
    """`canonical` picks one representative a class, and stays in it."""
    representatives: dict[str, str] = {}
    around = [space.neighbours(arch) for arch in archs[:20]]
    for arch in [*archs, *(near for nearby in around for near in nearby[:: 1 + len(nearby) // _MANY])]:
        best = space.canonical(arch)
        assert best.key == arch.key, f"canonical({arch.text!r}) left the class"
        assert space.canonical(best).text == best.text, f"canonical is not idempotent on {arch.text!r}"
        known = representatives.setdefault(arch.key, best.text)
        if space.one_representative:
            assert known == best.text, f"two representatives of one class: {known!r} and {best.text!r}"


def check_drawings(space: SearchSpace, archs: Sequence[Architecture]) -> None:
    """Drawings are well-formed SVG."""
    for arch in archs[:20]:
        try:
            root = ET.fromstring(space.draw(arch))  # noqa: S314, the space's own output
        except ET.ParseError as error:
            raise AssertionError(f"draw({arch.text!r}) is not well-formed XML: {error}") from error
        assert root.tag == "{http://www.w3.org/2000/svg}svg", f"draw({arch.text!r}) is <{root.tag}>, not SVG"
