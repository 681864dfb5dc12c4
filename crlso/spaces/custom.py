"""Your own search space, described by a YAML file: a chain of choices or a typed DAG (docs/howto/your-own-space.md).

    name: my-chain                              name: my-cells
    kind: chain                                 kind: dag
    notation: names                             nodes:
    blocks:                                       - {name: in, types: input}
      - repeat: 3                                 - {name: a, types: [sum, relu], most_inputs: 2}
        choices:                                  - {name: out, types: output}
          kernel: [3, 5]                        edges:
          width: [16, 32, 64]                     - {from: in, to: [a, out], types: [none, skip, conv]}
      - choices:                                  - {from: a, to: out, types: conv}
          head: [small, large]                  sources: [input]
                                                sinks: [output]
                                                identity_nodes: [input, sum, output]
                                                identity_edges: [skip]

Architectures of a chain are the chosen options joined by `|`, or, where the file says `notation: digits`, a digit each,
which is the option's place in its list counted from 0. Where every choice has at most ten options both are read,
whichever is written. Those of a DAG are JSON (`crlso.spaces.dag`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from crlso.exceptions import SpaceError
from crlso.spaces.base import SearchSpace
from crlso.spaces.chain import Chain, Decision
from crlso.spaces.dag import NONE, Node, TypedDag

MOST_NODES = 200
"""Nodes of a graph: a learned latent space writes every pair of them."""

MOST_TYPES = 255
"""Types of nodes, and of edges: a byte holds one."""

_DIGITS = 10  # options that a digit can tell apart


def _word(value: object) -> object:
    """Numbers are taken for their names; what YAML makes of `yes` or `null` is not guessed back."""
    if isinstance(value, bool) or value is None:
        raise ValueError(f"YAML reads this name as {value}: put it in quotes")
    if isinstance(value, int | float):
        value = str(value)
    if isinstance(value, str) and not re.fullmatch(r"[A-Za-z0-9_.+-]{1,64}", value):
        raise ValueError(f"{value!r} is no name: use letters, digits and _ . + -, at most 64")
    return value


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _distinct(words: list[str]) -> list[str]:
    if repeated := [word for word, count in Counter(words).items() if count > 1]:
        raise ValueError(f"{repeated[0]!r} comes twice: keep one")
    return words


Word = Annotated[str, BeforeValidator(_word)]
SpaceName = Annotated[str, BeforeValidator(_word), Field(pattern=r"^[^.]+$")]
AnyWords = Annotated[list[Word], BeforeValidator(_listed), AfterValidator(_distinct)]
Words = Annotated[AnyWords, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Block(_Part):
    repeat: int = Field(1, ge=1, le=MOST_NODES)
    choices: dict[Word, Words] = Field(min_length=1)


class ChainFile(_Part):
    """A chain of choices as its file describes it."""

    kind: Literal["chain"]
    name: SpaceName
    notation: Literal["names", "digits"] = "names"
    blocks: list[_Block] = Field(min_length=1)

    def build(self) -> SearchSpace:
        """The space.

        Raises:
            ValueError: a choice has too many options for a digit.
        """
        for name, options in ((name, options) for block in self.blocks for name, options in block.choices.items()):
            if self.notation == "digits" and len(options) > _DIGITS:
                raise ValueError(f"choice {name} has {len(options)} options, too many for a digit: use notation: names")
        blocks = [
            [Decision(name, tuple(options)) for name, options in block.choices.items()]
            for block in self.blocks
            for _ in range(block.repeat)
        ]
        _check_nodes(1 + sum(1 + len(block) for block in blocks))
        return _UserChain(self.name, blocks, digits=self.notation == "digits")


class _Node(_Part):
    name: Word
    types: Words
    most_inputs: int | None = Field(None, ge=0)


class _Edges(_Part):
    sources: Words = Field(alias="from")
    targets: Words = Field(alias="to")
    types: Words


class DagFile(_Part):
    """A typed DAG as its file describes it."""

    kind: Literal["dag"]
    name: SpaceName
    nodes: list[_Node] = Field(min_length=2)
    edges: list[_Edges] = Field(min_length=1)
    sources: Words
    sinks: Words
    identity_nodes: AnyWords = Field(default_factory=list)
    identity_edges: AnyWords = Field(default_factory=list)

    def build(self) -> SearchSpace:
        """The space.

        Raises:
            ValueError: names do not fit together, or no data can flow from a source to a sink.
        """
        _check_nodes(len(self.nodes))
        _distinct([node.name for node in self.nodes])
        edges = self._pairs()
        kinds = {kind for node in self.nodes for kind in node.types}
        _check_types("sources", self.sources, kinds)
        _check_types("sinks", self.sinks, kinds)
        _check_types("identity_nodes", self.identity_nodes, kinds)
        _check_types(
            "identity_edges", self.identity_edges, {kind for types in edges.values() for kind in types} - {NONE}
        )
        if both := set(self.sources) & set(self.sinks):
            raise ValueError(f"{min(both)} is among sources and sinks: give the two ends types of their own")
        self._check_flow(edges)
        nodes = [Node(tuple(node.types), node.most_inputs) for node in self.nodes]
        return TypedDag(
            self.name,
            nodes,
            edges,
            identity_nodes=frozenset(self.identity_nodes),
            identity_edges=frozenset(self.identity_edges),
            sources=frozenset(self.sources),
            sinks=frozenset(self.sinks),
        )

    def _pairs(self) -> dict[tuple[int, int], tuple[str, ...]]:
        """Allowed types of every edge between nodes by number."""
        places = {node.name: place for place, node in enumerate(self.nodes)}
        found: dict[tuple[int, int], tuple[str, ...]] = {}
        for part in self.edges:
            for source, target in product(part.sources, part.targets):
                for name in (source, target):
                    if name not in places:
                        raise ValueError(f"an edge names the node {name!r}; the nodes are {', '.join(places)}")
                pair = places[source], places[target]
                if pair[0] >= pair[1]:
                    raise ValueError(
                        f"the edge from {source} to {target} does not lead forward: "
                        "list the nodes in the order in which data flows; there can be no cycle"
                    )
                if pair in found:
                    raise ValueError(f"the edge from {source} to {target} comes twice: keep one, with all its types")
                found[pair] = tuple(part.types)
        return found

    def _check_flow(self, edges: Mapping[tuple[int, int], Sequence[str]]) -> None:
        """That every node lies on a way from a source to a sink in some architecture, and none has to have too many."""
        usable = [pair for pair, types in edges.items() if set(types) != {NONE}]
        ahead = {n for n, node in enumerate(self.nodes) if set(node.types) & set(self.sources)}
        behind = {n for n, node in enumerate(self.nodes) if set(node.types) & set(self.sinks)}
        for i, j in sorted(usable):
            ahead |= {j} if i in ahead else set()
        for i, j in sorted(usable, reverse=True):
            behind |= {i} if j in behind else set()
        for n, node in enumerate(self.nodes):
            if n not in ahead & behind:
                fault = "no source reaches it" if n not in ahead else "it reaches no sink"
                raise ValueError(f"node {node.name} can have no effect, {fault}: add an edge with a type, or remove it")
            needed = sum(NONE not in types for (_, j), types in edges.items() if j == n)
            if node.most_inputs is not None and needed > node.most_inputs:
                raise ValueError(
                    f"the space is empty: {needed} edges have to arrive at node {node.name}, which may have "
                    f"{node.most_inputs}: raise most_inputs, or let edges be none"
                )


class _UserChain(Chain):
    """Chains of choices, written as the chosen options joined by `|`, or as a digit each where the file says so."""

    def __init__(self, name: str, blocks: Sequence[Sequence[Decision]], *, digits: bool) -> None:
        super().__init__(name, blocks)
        self._digits = digits

    def write(self, names: Sequence[str]) -> str:
        """Names joined by `|`, or their places in the lists of options."""
        if not self._digits:
            return super().write(names)
        return "".join(str(options.index(name)) for name, options in zip(names, self.options, strict=True))

    def read(self, text: str) -> list[str]:
        """Names or digits; where a text could be either, what `write` writes."""
        if not re.fullmatch(f"[0-9]{{{len(self.options)}}}", text) or max(map(len, self.options)) > _DIGITS:
            return super().read(text)
        if len(self.options) == 1 and text in self.options[0] and not self._digits:
            return [text]
        places = zip(map(int, text), self.options, strict=True)
        return [names[digit] if digit < len(names) else f"digit {digit}" for digit, names in places]


class _Loader(yaml.SafeLoader):
    """Plain data only, and no key twice: the first would silently be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        if repeated := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {repeated[0]!r} comes twice", node.start_mark)
        return super().construct_mapping(node, deep)


_FILE: TypeAdapter[ChainFile | DagFile] = TypeAdapter(Annotated[ChainFile | DagFile, Field(discriminator="kind")])


def load_space(path: str | Path) -> SearchSpace:
    """The space that a YAML file describes.

    Raises:
        SpaceError: there is no such file, or it describes no space; the message says what to change.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpaceError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    try:
        return read_space(text)
    except SpaceError as error:
        raise SpaceError(f"{path}: {error}") from error


def read_space(text: str) -> SearchSpace:
    """The space that a description in YAML stands for; it keeps the text as its `source`.

    Raises:
        SpaceError: it describes no space; the message says what to change.
    """
    try:
        space = _described(text).build()
    except ValidationError as error:
        raise SpaceError("; ".join(map(_fault, error.errors()))) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpaceError(str(error)) from error
    if space.size < 2:
        raise SpaceError("there is nothing to choose: give a choice, a node or an edge a second option")
    if (types := max(len(space.schema.node_types), len(space.schema.edge_types))) > MOST_TYPES:
        raise SpaceError(f"there are {types} types, more than {MOST_TYPES}: use choices of one name more than once")
    space.source = text
    return space


def same_space(one: str, other: str) -> bool:
    """Whether two descriptions say the same, comments and layout apart."""
    return _described(one).model_dump_json() == _described(other).model_dump_json()  # equality forgets the order


def _described(text: str) -> ChainFile | DagFile:
    return _FILE.validate_python(yaml.load(text, _Loader))  # noqa: S506  a SafeLoader


def _check_nodes(count: int) -> None:
    if count > MOST_NODES:
        raise ValueError(f"graphs would have {count} nodes, more than {MOST_NODES}: describe a smaller space")


def _check_types(key: str, names: Sequence[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"{key} names {name!r}; the types there are {', '.join(sorted(known))}")


def _fault(fault: ErrorDetails) -> str:
    """A fault as pydantic found it, by its place in the file."""
    place = ".".join(str(part) for part in fault["loc"] if part not in ("chain", "dag", "[key]"))
    match fault["type"]:
        case "extra_forbidden":
            return f"{place}: there is no such key; compare with docs/howto/your-own-space.md"
        case "missing":
            return f"{place} is missing"
        case "union_tag_not_found" | "union_tag_invalid" | "model_attributes_type":
            return "the file must say `kind: chain` or `kind: dag`, and describe one such space"
        case _:
            return f"{place}: {fault['msg'].removeprefix('Value error, ')}"
