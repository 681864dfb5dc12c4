"""The paper map is true: what it names exists, and so do the tests that it claims."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAP = ROOT / "docs" / "paper-map.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in MAP.read_text().splitlines()
    if line.startswith("| ") and "`crlso." in line
]


def test_map_has_rows():
    assert len(ROWS) > 10


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_code_exists(row):
    named = re.findall(r"`(crlso\.[\w.]+)`", row[2])
    assert named
    for path in named:
        parts = path.split(".")
        for cut in range(len(parts), 0, -1):
            try:
                found = import_module(".".join(parts[:cut]))
            except ModuleNotFoundError:
                continue
            for name in parts[cut:]:
                found = getattr(found, name)
            break
        else:
            pytest.fail(f"{path} is nowhere")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_test_exists(row):
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row[3])
    assert named
    for file, test in named:
        tree = ast.parse((ROOT / file).read_text())
        assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
