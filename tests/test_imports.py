"""The house's borders: imports point one way, spaces know no tensors, modules stay small."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("crlso", "service")
    for path in sorted((ROOT / package).rglob("*.py"))
}

FLOORS = (
    ("crlso.exceptions", "crlso.files", "crlso.pareto"),
    ("crlso.client",),
    ("crlso.architecture", "crlso.settings"),
    ("crlso.graphs",),
    ("crlso.spaces",),
    ("crlso.tables", "crlso.networks"),
    ("crlso.latent", "crlso.supernet"),
    ("crlso.evaluators",),
    ("crlso.search",),
    ("crlso.testing",),
    ("crlso.training",),
    ("crlso",),
    ("crlso.commands",),
    ("crlso.cli",),
    ("crlso.train", "crlso.__main__", "crlso.search.__main__"),
    ("service",),
)
"""From the ground up: a room may import from floors below its own, and from itself."""


def room(module):
    """The longest name of a room that the module lies in, and its floor."""
    rooms = {name: floor for floor, names in enumerate(FLOORS) for name in names}
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        name = ".".join(parts[:end])
        if name in rooms and (name != "crlso" or module == "crlso"):
            return name, rooms[name]
    raise AssertionError(f"{module} lies in no room: give it a floor in FLOORS")


@cache
def imported(module):
    """Names of what the module imports, wherever in its body, in full: modules of the project and outer packages."""
    names = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: import by the full name, not relative"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in MODULES else str(node.module) for name in full}
    return frozenset(names)


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module):
    own, floor = room(module)
    for name in imported(module) & MODULES.keys():
        other, other_floor = room(name)
        assert other == own or other_floor < floor, f"{module} must not import {name}"


def test_spaces_import_no_torch_by_any_way():
    reached, ahead = set(), {module for module in MODULES if room(module)[0] == "crlso.spaces"}
    while ahead:
        module = ahead.pop()
        reached.add(module)
        assert not {name.split(".")[0] for name in imported(module)} & {"torch", "torch_geometric"}, module
        ahead |= imported(module) & MODULES.keys() - reached
    assert "crlso.architecture" in reached


@pytest.mark.parametrize("module", MODULES)
def test_modules_stay_small(module):
    assert len(MODULES[module].read_text().splitlines()) <= 400
