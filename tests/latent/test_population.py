"""A class is one point that stands for all of its members."""

import numpy as np
import pytest

from crlso.graphs import Forest
from crlso.latent.population import label_classes, population_of, sample_population
from crlso.spaces import get_space
from crlso.spaces.nasbench201 import NasBench201

SPACE = NasBench201()


@pytest.fixture(scope="module")
def everyone():
    return population_of(SPACE)


def test_every_architecture_is_counted_in_its_class(everyone):
    assert len(everyone) == len(everyone.mass) == len(everyone.index) == 4_930
    assert everyone.mass.sum() == SPACE.size
    mass = np.zeros(4_930, dtype=int)
    for arch in SPACE.enumerate():
        mass[everyone.index[arch.key]] += 1
    assert (mass == everyone.mass).all()


def test_representatives_are_canonical_and_in_the_order_of_the_index(everyone):
    for row, arch in enumerate(everyone.representatives):
        assert everyone.index[arch.key] == row
        assert SPACE.canonical(arch).text == arch.text
    assert len(Forest.of((arch.graph for arch in everyone.representatives), SPACE.schema).roots.unique()) == 4_930


def test_labels_are_averaged_by_class(everyone):
    skip, dead, other = (
        SPACE.parse(text)
        for text in (
            "|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
            "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|",
            "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|",
        )
    )
    assert skip == dead
    labels = label_classes(everyone, [skip, other, dead], np.array([1.0, 7.0, 4.0]))
    assert labels.values[everyone.index[skip.key]] == 2.5
    assert labels.values[everyone.index[other.key]] == 7.0
    assert labels.counts[everyone.index[skip.key]] == 2
    assert labels.known.sum() == 2
    assert (np.isnan(labels.values) == ~labels.known).all()


def test_a_sample_has_as_many_classes_as_were_asked_for_where_draws_repeat_themselves():
    space = get_space("nasbench101")
    sampled = sample_population(space, 600, seed=0)
    drawn = {arch.key for arch in space.sample(600, np.random.default_rng(0))}
    assert len(drawn) < 600 == len(sampled) == len({arch.key for arch in sampled.representatives})
    assert drawn <= sampled.index.keys()
    assert sampled.index.keys() == sample_population(space, 600, seed=0).index.keys()


def test_a_sample_of_all_is_all(everyone):
    assert sample_population(SPACE, 10**6, seed=0).index.keys() == everyone.index.keys()
