"""Exact costs as columns."""

import numpy as np
import pytest

from crlso.evaluators.costs import with_costs
from crlso.networks import costs
from crlso.spaces import get_space
from crlso.tables import Metric, Table

SPACE = get_space("nasbench201")
ARCHS = SPACE.sample(5, np.random.default_rng(0))
TABLE = Table(SPACE.name, "mine", [arch.text for arch in ARCHS], {Metric("accuracy"): np.arange(5.0)})


def test_added_columns_are_the_exact_costs_and_less_is_better():
    table = with_costs(TABLE, ["params", "accuracy", "flops"])
    assert [metric.name for metric in table.metrics] == ["accuracy", "params", "flops"]
    assert table.column("params").tolist() == [costs(arch).params for arch in ARCHS]
    assert table.column("flops").tolist() == [costs(arch).flops for arch in ARCHS]
    assert table.metric("params").direction == table.metric("flops").direction == "min"
    assert table.column("accuracy").tolist() == TABLE.column("accuracy").tolist()


@pytest.mark.parametrize("names", [[], ["accuracy", "speed"]])
def test_nothing_to_add_gives_the_same_table(names):
    assert with_costs(TABLE, names) is TABLE


def test_a_measured_column_of_that_name_is_kept():
    measured = Table(SPACE.name, "mine", TABLE.texts, {Metric("params", "min"): np.arange(5.0)})
    assert with_costs(measured, ["params"]) is measured
