"""Strategies by name, imported when used."""

import subprocess
import sys

import pytest

from crlso.exceptions import ProblemError, UnknownNameError
from crlso.search import registry
from crlso.search.registry import make_strategy, strategy_names
from crlso.spaces import get_space

SPACE = get_space("nasbench201")


@pytest.mark.parametrize("name", ["random", "local", "evolution", "bananas", "trees"])
def test_names_are_those_of_their_classes(name):
    assert name in strategy_names()
    assert make_strategy(name, SPACE, seed=3).name == name
    assert make_strategy(name, SPACE, seed=3).seed == 3


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"known: .*bananas.*random"):
        make_strategy("bogus", SPACE)


def test_a_missing_library_names_the_extra(monkeypatch):
    monkeypatch.setitem(registry._STRATEGIES, "tpe", "crlso.search.peers.tpe.Tpe")
    monkeypatch.delitem(sys.modules, "crlso.search.peers.tpe", raising=False)
    monkeypatch.setitem(sys.modules, "optuna", None)  # what is None there cannot be imported
    with pytest.raises(ProblemError, match=r"strategy tpe needs optuna.*pip install 'crlso\[bench\]'"):
        make_strategy("tpe", SPACE)


def test_names_are_listed_without_any_strategys_library():
    code = (
        "import sys; from crlso.search.registry import strategy_names; strategy_names(); "
        "sys.exit(bool({'torch', 'optuna', 'pymoo', 'botorch'} & sys.modules.keys()))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
