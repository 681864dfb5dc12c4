"""The registry of spaces, and that spaces stay pure."""

import subprocess
import sys

import pytest

from crlso.exceptions import UnknownNameError
from crlso.spaces import get_space, space_names


@pytest.mark.parametrize("name", space_names())
def test_every_listed_name_is_a_space_of_that_name(name):
    assert get_space(name).name == name


def test_unknown_space_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"'martian'.*nasbench201"):
        get_space("martian")


def test_importing_spaces_imports_no_torch():
    code = "import sys, crlso.spaces; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
