"""The library by its front door: every name is there, and none is paid for before it is used."""

import subprocess
import sys

import pytest

import crlso


def test_every_name_leads_home():
    assert sorted(crlso._HOMES) == sorted(crlso.__all__)
    for name, home in crlso._HOMES.items():
        found = getattr(crlso, name)
        assert found is getattr(sys.modules[home], name)
        assert found.__name__ == name


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'crlso' has no attribute 'tarin'"):
        crlso.tarin  # noqa: B018


def test_spaces_and_tables_come_without_torch():
    code = "import sys, crlso; crlso.get_space; crlso.load_table; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
