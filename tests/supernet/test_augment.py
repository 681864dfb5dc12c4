"""Augmentation moves, mirrors and blanks, and does nothing else."""

import torch

from crlso.supernet.augment import Augmentation

MEAN, STD = torch.tensor([0.4, 0.5]), torch.tensor([0.2, 0.25])


def bytes_(b=64, height=9, width=7):
    return torch.randint(1, 256, (b, 2, height, width), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def run(x, **options):
    augmented = Augmentation(MEAN, STD, **options)(x, torch.Generator().manual_seed(1))
    assert augmented.shape == x.shape
    return augmented


def pixels(augmented):
    return (augmented * STD[:, None, None] + MEAN[:, None, None]).mul(255).round().to(torch.uint8)


def test_nothing_but_normalisation_by_default():
    assert torch.equal(pixels(run(bytes_())), bytes_())


def test_every_image_is_a_crop_of_itself_in_a_black_frame_or_of_its_mirror_image():
    x = bytes_()
    framed = torch.nn.functional.pad(x, [2] * 4)
    found = set()
    for before, after in zip(framed, pixels(run(x, shift=2, mirrored=True)), strict=True):
        places = [
            (i, j, flipped)
            for i in range(5)
            for j in range(5)
            for flipped in (False, True)
            if torch.equal(after.flip(2) if flipped else after, before[:, i : i + 9, j : j + 7])
        ]
        assert len(places) == 1
        found.update(places)
    assert {place[2] for place in found} == {False, True}
    assert {place[0] for place in found} == {place[1] for place in found} == set(range(5))


def test_cutout_blanks_one_square_cut_off_at_the_border():
    x = bytes_(400)
    plain, cut = run(x), run(x, cutout=4)
    blank = (cut == 0).all(dim=1)
    assert torch.equal(cut[~blank[:, None].expand_as(cut)], plain[~blank[:, None].expand_as(cut)])
    rows, columns = blank.any(dim=2).sum(dim=1), blank.any(dim=1).sum(dim=1)
    assert torch.equal(blank.sum(dim=(1, 2)), rows * columns)
    for sides in (rows, columns):
        assert sides.min() == 2
        assert sides.max() == 4
