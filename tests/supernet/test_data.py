"""Halves and batches of images: disjoint, complete, and a function of seed and epoch."""

from itertools import chain

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crlso.exceptions import DataError
from crlso.supernet.data import Batches, Images, Part
from crlso.supernet.sources import load_images


def numbered(n=50, classes=3, shape=(1, 4, 4)):
    """Images whose pixels all hold the image's number."""
    x = torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, *shape).contiguous()
    return Part(x, torch.arange(n) % classes)


def images(**changes):
    return Images(**{"train": numbered(), "test": numbered(10), "classes": ("a", "b", "c"), **changes})


def numbers(batches, images, epoch):
    return [(x[:, 0, 0, 0] * images.std + images.mean).mul(255).round().int().tolist() for x, _ in batches.epoch(epoch)]


def test_moments_are_those_of_the_pixels():
    data = load_images("digits")
    pixels = data.train.x / 255
    torch.testing.assert_close(data.mean, pixels.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(data.std, pixels.std(dim=(0, 2, 3), correction=0))


def test_halves_are_disjoint_complete_and_stratified():
    part = numbered(51, classes=4)
    first, second = part.halves(3)
    assert sorted(first.x[:, 0, 0, 0].tolist() + second.x[:, 0, 0, 0].tolist()) == list(range(51))
    counts = [half.y.bincount(minlength=4) for half in (first, second)]
    assert ((counts[0] - counts[1]).abs() <= 1).all()
    assert torch.equal(part.halves(3)[0].x, first.x)
    assert not torch.equal(part.halves(4)[0].x, first.x)


@given(
    counts=st.lists(st.integers(0, 25), min_size=1, max_size=6).filter(any),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**63 - 1),
)
def test_parts_are_disjoint_complete_and_of_their_share_in_every_class(counts, share, seed):
    y = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    y = y[torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))]
    part = Part(torch.arange(len(y), dtype=torch.uint8)[:, None, None, None], y)
    first, second = part.split(share, seed)
    assert sorted(first.x.flatten().tolist() + second.x.flatten().tolist()) == list(range(len(y)))
    for half in (first, second):
        assert torch.equal(half.y, y[half.x.flatten().long()])
    assert abs(len(second) - share * len(y)) <= 1
    expected = share * torch.tensor(counts, dtype=torch.float64)
    assert ((second.y.bincount(minlength=len(counts)) - expected).abs() <= 1 + 1e-9).all()


def test_parts_depend_on_the_seed_alone():
    part = numbered(60)
    found = [part.split(0.3, seed)[1].x for seed in (3, 3, 4)]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_an_epoch_has_every_image_once_in_batches_of_nearly_one_size():
    data = images()
    batches = Batches(data.train, 12, 0, data.plain())
    found = numbers(batches, data, 0)
    assert sorted(chain.from_iterable(found)) == list(range(50))
    assert len(found) == len(batches) == 5
    assert {len(batch) for batch in found} == {10}
    for x, y in batches.epoch(1):
        assert torch.equal((x[:, 0, 0, 0] * data.std + data.mean).mul(255).round().long() % 3, y)


def test_an_epoch_depends_on_seed_and_number_alone():
    data = load_images("digits")
    batches = [Batches(data.train, 400, seed, data.augmentation(cutout=3)) for seed in (5, 5, 6)]
    list(batches[0].epoch(0))
    first, second, other = (next(iter(b.epoch(1))) for b in batches)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], next(iter(batches[0].epoch(2)))[0])


def test_normalised_training_images_have_mean_zero_and_deviation_one():
    data = load_images("digits")
    x = torch.cat([x for x, _ in Batches(data.train, 500, 0, data.plain()).epoch(0)])
    assert abs(float(x.mean())) < 1e-4
    assert abs(float(x.std()) - 1) < 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": numbered(0)}, "no training image"),
        ({"classes": ("a", "b")}, "outside 0 … 1"),
        ({"train": numbered(9, classes=1)}, "of one class"),
        ({"test": numbered(shape=(1, 5, 4))}, "to one size"),
    ],
)
def test_what_is_no_data_set_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        images(**changes)


def test_an_empty_batch_is_refused():
    with pytest.raises(DataError, match="at least 1"):
        Batches(numbered(), 0, 0, images().plain())


def test_a_part_without_images_has_no_batches():
    with pytest.raises(DataError, match="take more images, or another share to hold out"):
        Batches(numbered(10).split(0.01, 0)[1], 4, 0, images().plain())
