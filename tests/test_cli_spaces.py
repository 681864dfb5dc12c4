"""`crlso spaces`: lists, checks and samples, and refuses in one line."""

import pytest
from typer.testing import CliRunner

from crlso import cli, spaces
from crlso.spaces import get_space, space_names

CHAIN = "{name: mine, kind: chain, blocks: [{repeat: %d, choices: {c: [a, b, d]}}]}"
DAG = """
{name: twins, kind: dag, sources: input, sinks: output, identity_nodes: [input, sum, output],
 nodes: [{name: x, types: input}, {name: a, types: sum}, {name: b, types: sum}, {name: y, types: output}],
 edges: [{from: x, to: [a, b], types: [none, conv]}, {from: [a, b], to: y, types: [none, conv]}]}
"""


@pytest.fixture(autouse=True)
def _own_names(monkeypatch):
    monkeypatch.setattr(spaces, "_SPACES", dict(spaces._SPACES))


@pytest.fixture
def described(tmp_path):
    def write(text):
        (tmp_path / "space.yaml").write_text(text)
        return tmp_path / "space.yaml"

    return write


def run(*arguments):
    return CliRunner().invoke(cli.app, ["spaces", *map(str, arguments)])


def test_list_names_all_spaces():
    lines = run("list").stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == space_names()


def test_check_counts_architectures_and_functions(described):
    result = run("check", described(DAG))
    assert result.exit_code == 0
    # of 16 subsets of four edges those that make a path: none, one (in 2 · 3 ways), both
    assert result.stdout.splitlines()[0] == "twins: 16 architectures, 3 different functions"
    for text in result.stdout.splitlines()[3:]:
        assert get_space("twins").parse(text).text == text


def test_check_estimates_what_it_cannot_count(described):
    result = run("check", described(CHAIN % 40))
    assert "mine: 12,157,665,459,056,928,801 architectures, too many to list; 2,000 of 2,000" in result.stdout
    assert len(result.stdout.splitlines()) == 3 + 3


def test_samples_are_architectures_and_follow_the_seed(described):
    path = described(CHAIN % 4)
    texts = run("sample", path, "-n", 5).stdout.splitlines()
    assert len(set(texts)) == 5
    assert all(get_space("mine").parse(text).text == text for text in texts)
    assert run("sample", "mine", "-n", 5).stdout.splitlines() == texts
    assert run("sample", path, "-n", 5, "--seed", 1).stdout.splitlines() != texts


@pytest.mark.parametrize(
    ("text", "arguments", "fault"),
    [
        (CHAIN % 0, ["check"], "space.yaml: blocks.0.repeat"),
        ("", ["check"], "`kind: chain` or `kind: dag`"),
        (CHAIN % 1, ["sample", "-n", 4], "mine has 3"),
    ],
)
def test_refusals_are_one_line(described, text, arguments, fault):
    result = run(*arguments, described(text))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert fault in result.stderr
    assert result.stderr.count("\n") == 1


def test_unknown_spaces_list_the_known_ones():
    result = run("check", "martian")
    assert result.exit_code == 2
    assert "mobile" in result.stderr
    assert "goes by its file" in result.stderr
