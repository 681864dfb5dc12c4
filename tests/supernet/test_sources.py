"""Reading images from each kind of source, and refusing what is none."""

import pickle
import sys

import numpy as np
import pytest
import torch

from crlso.exceptions import DataError
from crlso.supernet.sources import load_images

RNG = np.random.default_rng(0)


def save_npz(path, **changes):
    arrays = {
        "x_train": RNG.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8),
        "y_train": np.array([0, 1, 2, 0, 1, 2]),
        "x_test": RNG.integers(0, 256, (3, 5, 4, 3), dtype=np.uint8),
        "y_test": np.array([0, 1, 2]),
    }
    arrays |= changes
    np.savez(path, **arrays)
    return arrays


def save_cifar10(folder):
    """The layout of the official archive, in the protocol in which Python 2 wrote it."""
    folder.mkdir()
    batches = {}
    for name in (*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"):
        data = RNG.integers(0, 256, (4, 3072), dtype=np.uint8)
        batches[name] = {"data": data, "labels": [0, 1, 1, 0], "filenames": ["a.png"] * 4, "batch_label": name}
    batches["batches.meta"] = {"label_names": ["cat", "dog"], "num_vis": 3072}
    for name, content in batches.items():
        (folder / name).write_bytes(pickle.dumps(content, protocol=2))
    return batches


def save_pictures(folder, names=("cat", "dog"), count=10):
    image = pytest.importorskip("PIL.Image")
    for code, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            colour = (200 * code, number, 0)
            image.new("RGB", (9, 6), colour).save(folder / name / f"{number}.png")


def test_digits_are_split_alike_for_everyone():
    data = load_images("digits")
    assert data.shape == (1, 8, 8)
    assert (len(data.train), len(data.test), len(data.classes)) == (1437, 360, 10)
    assert data.train.x.max() == 240
    assert (data.test.y.bincount() - 36).abs().max() <= 1
    assert torch.equal(load_images("digits").test.x, data.test.x)


def test_npz_turns_channels_to_the_front(tmp_path):
    arrays = save_npz(tmp_path / "a.npz")
    data = load_images(tmp_path / "a.npz")
    assert data.shape == (3, 5, 4)
    assert np.array_equal(data.train.x.permute(0, 2, 3, 1), arrays["x_train"])
    assert data.test.y.tolist() == [0, 1, 2]


def test_a_smaller_size_averages_pixels_and_takes_the_middle(tmp_path):
    wide = RNG.integers(0, 256, (6, 6, 12, 3), dtype=np.uint8)
    save_npz(tmp_path / "a.npz", x_train=wide, x_test=wide[:3])
    data = load_images(tmp_path / "a.npz", size=3)
    means = wide.reshape(6, 3, 2, 6, 2, 3).mean((2, 4)).transpose(0, 3, 1, 2)[..., 1:4]
    assert data.shape == (3, 3, 3)
    assert np.abs(data.train.x.numpy() - means).max() <= 0.5
    assert torch.equal(data.test.x, data.train.x[:3])
    assert not load_images("digits", size=4).mirrored


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": np.zeros((6, 5, 4, 3))}, "expected uint8"),
        ({"y_test": np.arange(2)}, "2 int64 labels for the 3 images"),
        ({"y_test": np.array([object()] * 3)}, "cannot be read"),
    ],
)
def test_other_arrays_are_refused(tmp_path, changes, message):
    save_npz(tmp_path / "a.npz", **changes)
    with pytest.raises(DataError, match=message):
        load_images(tmp_path / "a.npz")


def test_cifar_is_read_from_its_pickles(tmp_path):
    batches = save_cifar10(tmp_path / "cifar")
    data = load_images(tmp_path / "cifar")
    assert data.classes == ("cat", "dog")
    assert (len(data.train), len(data.test), data.shape) == (20, 4, (3, 32, 32))
    assert np.array_equal(data.test.x.flatten(1), batches["test_batch"]["data"])
    assert data.train.y.tolist() == [0, 1, 1, 0] * 5


def test_cifar_100_has_fine_labels(tmp_path):
    for name in ("train", "test"):
        content = {"data": np.zeros((2, 3072), np.uint8), "fine_labels": [0, 1], "coarse_labels": [0, 0]}
        (tmp_path / name).write_bytes(pickle.dumps(content))
    (tmp_path / "meta").write_bytes(pickle.dumps({"fine_label_names": ["apple", "bed"]}))
    assert load_images(tmp_path).classes == ("apple", "bed")


class Trap:
    def __reduce__(self):
        return print, ("ran",)


def test_a_pickle_that_would_run_code_is_refused(tmp_path, capsys):
    save_cifar10(tmp_path / "cifar")
    (tmp_path / "cifar" / "data_batch_2").write_bytes(pickle.dumps({"data": Trap()}))
    with pytest.raises(DataError, match="print"):
        load_images(tmp_path / "cifar")
    assert not capsys.readouterr().out


def test_a_truncated_pickle_names_the_remedy(tmp_path):
    save_cifar10(tmp_path / "cifar")
    content = (tmp_path / "cifar" / "test_batch").read_bytes()
    (tmp_path / "cifar" / "test_batch").write_bytes(content[:-99])
    with pytest.raises(DataError, match="unpack the official archive"):
        load_images(tmp_path / "cifar")


def test_pictures_in_folders_are_split_by_the_seed(tmp_path):
    save_pictures(tmp_path)
    data = load_images(tmp_path, size=5)
    assert data.classes == ("cat", "dog")
    assert data.shape == (3, 5, 5)
    assert (len(data.train), len(data.test)) == (16, 4)
    assert data.test.y.bincount().tolist() == [2, 2]
    for part in (data.train, data.test):
        assert torch.equal(part.x[:, 0, 0, 0], (200 * part.y).byte())
    again, other = (load_images(tmp_path, size=5, seed=seed) for seed in (0, 1))
    assert torch.equal(again.test.x, data.test.x)
    assert not torch.equal(other.test.x, data.test.x)


def test_pictures_below_train_and_val_are_split_already(tmp_path):
    save_pictures(tmp_path / "train", count=3)
    save_pictures(tmp_path / "val", count=2)
    data = load_images(tmp_path)
    assert (len(data.train), len(data.test)) == (6, 4)


def test_a_file_that_is_no_picture_is_named(tmp_path):
    save_pictures(tmp_path)
    (tmp_path / "dog" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"broken\.png"):
        load_images(tmp_path)


def test_one_class_is_none(tmp_path):
    save_pictures(tmp_path, names=("cat",))
    with pytest.raises(DataError, match="no two classes"):
        load_images(tmp_path)


def test_without_pillow_the_remedy_is_named(tmp_path, monkeypatch):
    save_pictures(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(DataError, match="pip install pillow"):
        load_images(tmp_path)


@pytest.mark.parametrize("source", ["nowhere", "nowhere.npz"])
def test_an_unknown_source_lists_what_is_accepted(source):
    with pytest.raises(DataError, match="digits"):
        load_images(source)
