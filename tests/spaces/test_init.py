"""The registry of spaces, and that spaces stay pure."""

import subprocess
import sys

import pytest

import crlso.spaces
from crlso.exceptions import SpaceError, UnknownNameError
from crlso.spaces import NasBench201, family_of, get_space, read_space, register_space, space_names

CHAIN = "{name: %s, kind: chain, blocks: [{choices: {c: [a, b]}}]}"


@pytest.fixture
def _own_names(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(crlso.spaces, "_SPACES", dict(crlso.spaces._SPACES))


@pytest.mark.parametrize("name", space_names())
def test_every_listed_name_is_a_space_of_that_name(name):
    assert get_space(name).name == name


def test_unknown_space_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"'martian'.*nasbench201"):
        get_space("martian")


def test_a_suffix_is_the_depth_of_a_flexible_space():
    deeper = get_space("darts-flexible-dnad@5")
    assert (deeper.name, deeper.cells) == ("darts-flexible-dnad@5", 5)
    assert get_space("darts-flexible-dnad@5") is deeper
    assert get_space("darts-flexible-dnad@8") is get_space("darts-flexible-dnad")
    assert [family_of(name) for name in (deeper.name, "darts-flexible", "darts@5")] == [
        "darts-flexible-dnad",
        "darts-flexible",
        "darts@5",
    ]


@pytest.mark.parametrize("depth", ["", "2", "21", "05", "+5", "5.0", "5@5", "five"])
def test_other_suffixes_are_refused_with_the_depths(depth):
    with pytest.raises(UnknownNameError, match="darts-flexible@3 to darts-flexible@20"):
        get_space(f"darts-flexible@{depth}")
    with pytest.raises(UnknownNameError, match="unknown space 'darts@5'"):
        get_space("darts@5")


@pytest.mark.usefixtures("_own_names")
@pytest.mark.parametrize("suffix", ["yaml", "yml"])
def test_a_file_is_a_space_and_from_then_on_so_is_its_name(tmp_path, suffix):
    path = tmp_path / f"space.{suffix}"
    path.write_text(CHAIN % "mine")
    with pytest.raises(UnknownNameError, match=r"goes by its file, which ends in \.yaml or \.yml"):
        get_space("mine")
    space = get_space(path)
    assert get_space(str(path)) is get_space("mine") is space
    assert "mine" in space_names()


@pytest.mark.usefixtures("_own_names")
def test_a_name_stands_for_one_description():
    space = register_space(read_space(CHAIN % "mine"))
    assert register_space(read_space("# the same\n" + CHAIN % "mine")) is space
    with pytest.raises(SpaceError, match="'mine' was described otherwise before: give this one another name"):
        register_space(read_space((CHAIN % "mine").replace("b]", "d]")))
    assert get_space("mine") is space


@pytest.mark.usefixtures("_own_names")
def test_names_that_come_with_crlso_are_taken():
    for space in (read_space(CHAIN % "mobile"), NasBench201()):
        with pytest.raises(SpaceError, match="comes with crlso"):
            register_space(space)


def test_importing_spaces_imports_no_torch():
    code = "import sys, crlso.spaces; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
