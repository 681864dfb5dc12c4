"""The how-to pages say what is: their descriptions are spaces, their counts are counted, their table is one."""

import re
from pathlib import Path

import pytest

from crlso import spaces
from crlso.spaces import get_space, read_space
from crlso.tables import read_table

HOWTO = Path(__file__).parents[1] / "docs" / "howto"
PAGE = (HOWTO / "your-own-space.md").read_text()
DESCRIPTIONS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(autouse=True)
def _own_names(monkeypatch):
    monkeypatch.setattr(spaces, "_SPACES", dict(spaces._SPACES))


def test_the_page_shows_the_example_file():
    assert (HOWTO / "example-space.yaml").read_text().endswith(DESCRIPTIONS[0])


@pytest.mark.parametrize("text", DESCRIPTIONS)
def test_counts_are_those_that_the_page_shows(text):
    space = read_space(text)
    functions = len({arch.key for arch in space.enumerate()})
    assert f"{space.name}: {space.size} architectures, {functions} different functions" in PAGE


def test_architectures_on_the_page_are_some():
    chain, dag = map(read_space, DESCRIPTIONS)
    for text in re.findall(r"\d+\|\d+\|\d+\|\w+\|[\d.]+", PAGE):
        assert chain.parse(text).text == text
    assert read_space(f"{DESCRIPTIONS[0]}notation: digits").parse("128|64|32|relu|0.001").text == "43200"
    (text,) = re.findall(r"```json\n(.*?)\n```", PAGE)
    assert dag.parse(text).text == text


def test_the_example_table_is_of_the_example_space():
    table = read_table(HOWTO / "example-table.csv", str(HOWTO / "example-space.yaml"))
    assert table.space == get_space("digits-mlp").name
    assert len(table) == 80
