"""Spaces from YAML: what a description means, and that every mistake in one is named with its remedy."""

import numpy as np
import pytest

from crlso.exceptions import ArchitectureError, SpaceError
from crlso.spaces.custom import load_space, read_space, same_space
from crlso.testing import check_space

CHAIN = """
name: my-chain
kind: chain
blocks:
  - repeat: 2
    choices:
      kernel: [3, 5]
      width: [16, 32, 64]
  - choices:
      head: [small, large]
"""

DAG = """
name: my-cells
kind: dag
nodes:
  - {name: in, types: input}
  - {name: a, types: [sum, relu], most_inputs: 1}
  - {name: b, types: sum, most_inputs: 1}
  - {name: out, types: output}
edges:
  - {from: in, to: [a, b, out], types: [none, skip, conv]}
  - {from: a, to: [b, out], types: [none, skip, conv]}
  - {from: b, to: out, types: conv}
sources: input
sinks: [output]
identity_nodes: [input, sum, output]
identity_edges: [skip]
"""

HUGE = """
name: far-too-many
kind: dag
nodes:
  - {name: x, types: input}
  - {name: h1, types: [sum, relu]}
  - {name: h2, types: [sum, relu], most_inputs: 2}
  - {name: h3, types: [sum, relu], most_inputs: 2}
  - {name: h4, types: [sum, relu]}
  - {name: h5, types: [sum, relu]}
  - {name: h6, types: [sum, relu]}
  - {name: y, types: output}
edges:
  - {from: x, to: [h1, h2, h3, h4, h5, h6], types: [none, skip, conv3, conv5, pool]}
  - {from: h1, to: [h2, h3, h4, h5, h6, y], types: [none, skip, conv3, conv5, pool]}
  - {from: [h2, h3], to: [h4, h5, h6, y], types: [none, skip, conv3, conv5, pool]}
  - {from: [h4, h5], to: [h6, y], types: [none, skip, conv3, conv5, pool]}
  - {from: h6, to: y, types: [skip, conv3]}
sources: [input]
sinks: [output]
identity_nodes: [input, sum, output]
identity_edges: [skip]
"""


@pytest.mark.parametrize("text", [CHAIN, CHAIN + "notation: digits", DAG, HUGE])
def test_described_spaces_keep_the_laws(text):
    check_space(read_space(text), np.random.default_rng(0), n=3)


def test_a_chain_is_what_its_file_says():
    space = read_space(CHAIN)
    assert space.name == "my-chain"
    assert space.size == (2 * 3) ** 2 * 2
    assert space.options == (("3", "5"), ("16", "32", "64"), ("3", "5"), ("16", "32", "64"), ("small", "large"))
    assert space.parse("5|16|3|64|large").text == "5|16|3|64|large"
    assert space.source == CHAIN


def test_a_dag_is_what_its_file_says():
    space = read_space(DAG)
    assert space.size == 2 * 3 * (1 + 2 + 2) * 3**2
    assert space.schema.identity_edges == {"skip"}
    assert space.schema.edge_types == ("none", "skip", "conv")
    text = '{"nodes":["input","relu","sum","output"],"edges":[[0,1,"conv"],[1,3,"skip"],[2,3,"conv"]]}'
    assert space.parse(text).text == text


def test_twins_of_a_dag_are_equal():
    space = read_space(DAG)
    one, twin, other = (
        space.parse(f'{{"nodes":["input","sum","sum","output"],"edges":{edges}}}')
        for edges in (
            '[[0,1,"conv"],[1,3,"skip"],[2,3,"conv"]]',
            '[[0,3,"conv"],[1,2,"conv"],[2,3,"conv"]]',
            '[[0,2,"conv"],[2,3,"conv"]]',
        )
    )
    assert one == twin
    assert one != other


def test_more_than_anyone_can_list():
    space = read_space(HUGE)
    assert space.size > 10**15
    assert not space.enumerable
    assert len(space.sample(100, np.random.default_rng(0))) == 100
    assert read_space(CHAIN.replace("repeat: 2", "repeat: 24")).size > 10**18


def test_names_and_digits_are_both_read_and_the_file_says_which_is_written():
    for notation, text, example in (("names", "5|16|3|64|large", r"3\|16"), ("digits", "10021", "00000")):
        space = read_space(f"{CHAIN}notation: {notation}")
        assert space.parse("5|16|3|64|large").text == text
        assert space.parse("10021").text == text
        for bad in ("1002", "100211", "10031", "1002x", "10021|"):
            with pytest.raises(ArchitectureError, match=f"such as {example}"):
                space.parse(bad)


def test_what_could_be_a_name_or_a_digit_is_what_is_written():
    text = "{name: one, kind: chain, blocks: [{choices: {c: [1, 0]}}], notation: %s}"
    assert read_space(text % "names").choices(read_space(text % "names").parse("1")) == (0,)
    assert read_space(text % "digits").choices(read_space(text % "digits").parse("1")) == (1,)


def test_types_are_few_enough_for_a_byte():
    choices = ", ".join(f"c{n}: [a, b, d]" for n in range(90))
    with pytest.raises(SpaceError, match="273 types, more than 255: use choices of one name"):
        read_space(f"{{name: many, kind: chain, blocks: [{{choices: {{{choices}}}}}]}}")


def test_eleven_options_have_names_only():
    space = read_space("{name: many, kind: chain, blocks: [{repeat: 2, choices: {c: [a,b,c,d,e,f,g,h,i,j,k]}}]}")
    with pytest.raises(ArchitectureError):
        space.parse("00")
    assert space.parse("a|k").text == "a|k"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (CHAIN, "", "kind: chain` or `kind: dag"),
        (CHAIN, "- a\n- b", "kind: chain` or `kind: dag"),
        (CHAIN, "a: [", "expected"),
        (CHAIN, "!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("kind: chain", "kind: tree", "kind: chain` or `kind: dag"),
        ("kind: chain", "kind: chain\nkind: chain", "the key 'kind' comes twice"),
        ("name: my-chain", "", "name is missing"),
        ("name: my-chain", "name: my chain", "name: 'my chain' is no name: use letters"),
        ("name: my-chain", "name: my.yaml", "name: String should match"),
        ("name: my-chain", "name: [a]", "name: "),
        ("repeat: 2", "times: 2", r"blocks.0.times: there is no such key; compare with docs/howto"),
        ("repeat: 2", "repeat: 0", "blocks.0.repeat: .*greater than or equal to 1"),
        ("repeat: 2", "repeat: 100", "303 nodes, more than 200: describe a smaller space"),
        ("[3, 5]", "[]", "blocks.0.choices.kernel: .*at least 1 item"),
        ("[3, 5]", "[3, 3]", "blocks.0.choices.kernel: '3' comes twice: keep one"),
        ("[3, 5]", "[yes, no]", "blocks.0.choices.kernel.0: YAML reads this name as True: put it in quotes"),
        ("[3, 5]", "[a|b, c]", r"'a\|b' is no name"),
        ("width:", "kernel:", "the key 'kernel' comes twice"),
        (CHAIN, "{name: a, kind: chain, blocks: []}", "blocks: .*at least 1 item"),
        (CHAIN, "{name: a, kind: chain, blocks: [{choices: {}}]}", "blocks.0.choices: .*at least 1 item"),
        (CHAIN, "{name: a, kind: chain, blocks: [{choices: {b: c}}]}", "nothing to choose: give .* a second option"),
        (
            CHAIN,
            "{name: a, kind: chain, notation: digits, blocks: [{choices: {b: [a,c,d,e,f,g,h,i,j,k,l]}}]}",
            "choice b has 11 options, too many for a digit: use notation: names",
        ),
    ],
)
def test_mistakes_in_a_chain_are_named_with_their_remedy(old, new, fault):
    assert old in CHAIN
    with pytest.raises(SpaceError, match=fault):
        read_space(CHAIN.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("name: b, types", "name: a, types", "'a' comes twice: keep one"),
        ("types: [sum, relu]", "types: []", "nodes.1.types: .*at least 1 item"),
        ("{name: in, types: input}", "{types: input}", "nodes.0.name is missing"),
        ("from: a, to", "from: c, to", "an edge names the node 'c'; the nodes are in, a, b, out"),
        ("from: a, to: [b, out]", "from: b, to: [a, out]", "from b to a does not lead forward: .* no cycle"),
        ("from: b, to: out", "from: b, to: b", "from b to b does not lead forward"),
        ("from: b, to: out", "from: a, to: out", "from a to out comes twice: keep one"),
        ("sources: input", "sources: data", "sources names 'data'; the types there are input, output, relu, sum"),
        ("sinks: [output]", "sinks: []", "sinks: .*at least 1 item"),
        ("sinks: [output]", "sinks: [output, input]", "input is among sources and sinks"),
        ("identity_edges: [skip]", "identity_edges: [none]", "identity_edges names 'none'; .* conv, skip"),
        ("identity_nodes: [input", "identity_nodes: [inptu", "identity_nodes names 'inptu'"),
        (
            "to: [a, b, out], types: [none, skip, conv]",
            "to: [a, b, out], types: none",
            "node in can have no effect, it reaches no sink",
        ),
        ("from: in, to: [a, b, out]", "from: in, to: [a, out]", None),
        ("from: in, to: [a, b, out]", "from: in, to: [b, out]", "node a can have no effect, no source reaches it"),
        (
            "from: b, to: out, types: conv",
            "from: b, to: out, types: none",
            "node b can have no effect, it reaches no sink: add an edge",
        ),
        ("to: [a, b, out], types: [none, skip, conv]", "to: [a, b, out], types: conv", None),
        ("most_inputs: 1}", "most_inputs: -1}", "nodes.1.most_inputs"),
        ("types: output}", "types: output, most_inputs: 0}", "the space is empty: 1 edges have to arrive at node out"),
        ("edges:", "links:", "edges is missing; links: there is no such key"),
    ],
)
def test_mistakes_in_a_dag_are_named_with_their_remedy(old, new, fault):
    assert old in DAG
    text = DAG.replace(old, new)
    if fault is None:  # a stricter space, not a wrong one
        assert read_space(text).size < read_space(DAG).size
        return
    with pytest.raises(SpaceError, match=fault):
        read_space(text)


def test_files_are_named_in_errors(tmp_path):
    path = tmp_path / "space.yaml"
    with pytest.raises(SpaceError, match=r"space\.yaml cannot be read: No such file"):
        load_space(path)
    path.write_bytes(b"\xff")
    with pytest.raises(SpaceError, match=r"space\.yaml cannot be read"):
        load_space(path)
    path.write_text("kind: chain")
    with pytest.raises(SpaceError, match=r"space\.yaml: name is missing; blocks is missing"):
        load_space(path)


def test_layout_and_comments_are_no_part_of_a_description_but_the_order_of_choices_is():
    assert same_space(CHAIN, "# mine\n" + CHAIN.replace("[3, 5]", "\n      - 3\n      - 5"))
    assert same_space(CHAIN, CHAIN + "notation: names")
    assert not same_space(CHAIN, CHAIN + "notation: digits")
    first, second = "      kernel: [3, 5]\n", "      width: [16, 32, 64]\n"
    assert not same_space(CHAIN, CHAIN.replace(first + second, second + first))
