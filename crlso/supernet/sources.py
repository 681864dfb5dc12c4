"""Where images come from: `load_images` reads each kind of source into `crlso.supernet.data.Images`.

Pickles of CIFAR are read without running anything of what they name (`crlso.tables.pickles`). Pillow is asked for only
where folders of pictures are to be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch.nn.functional import interpolate

from crlso.exceptions import DataError, TableError
from crlso.supernet.data import Images, Part
from crlso.tables.pickles import load_arrays

_DIGITS_TEST = 360  # a fifth of the 1,797
_SIZE = 32  # side of pictures in folders where none is asked for
_FOLDER_TEST = 0.2  # share of a folder's pictures that are kept for testing where it has no val/
_SEED = 0  # of the split of the digits, which is the same for everyone
_ACCEPTED = (
    "expected 'digits', an .npz file with x_train, y_train, x_test and y_test, a folder cifar-10-batches-py or "
    "cifar-100-python, or a folder with pictures in one subfolder a class, below train/ and val/ or at once"
)
_NPZ = ("x_train", "y_train", "x_test", "y_test")
_CIFAR = {  # file of the names: their key, that of the labels, files to train on and to test on
    "batches.meta": ("label_names", "labels", tuple(f"data_batch_{n}" for n in range(1, 6)), ("test_batch",)),
    "meta": ("fine_label_names", "fine_labels", ("train",), ("test",)),
}


def load_images(source: str | Path = "digits", *, size: int | None = None, seed: int = 0) -> Images:
    """Read a data set into memory.

    Args:
        source: `digits` (8×8 grey, 1,437 to train on and 360 to test on), or the path of a file or folder.
        size: side in pixels to which images are brought, the shorter side scaled and the middle taken. When left out,
            pictures in folders get 32 and others stay as they are.
        seed: splits a folder of pictures that is not split already.

    Raises:
        DataError: the source is none of those, or it cannot be read; the message says what is expected.
    """
    if source == "digits":
        return _resized(_digits(), size)
    path = Path(source).expanduser()
    if path.is_file() and path.suffix == ".npz":
        return _resized(_npz(path), size)
    if path.is_dir():
        for names, fields in _CIFAR.items():
            if (path / names).is_file():
                return _resized(_cifar(path, names, *fields), size)
        return _pictures(path, size or _SIZE, seed)
    raise DataError(f"no images at {str(source)!r}: {_ACCEPTED}")


def _resized(images: Images, size: int | None) -> Images:
    """Pixels averaged over the area that each of the fewer covers."""
    if size is None or images.shape[1:] == (size, size):
        return images
    shorter = min(images.shape[1:])
    scaled = [round(side * size / shorter) for side in images.shape[1:]]
    top, left = ((side - size) // 2 for side in scaled)
    train, test = (
        Part(
            interpolate(part.x.float(), scaled, mode="area").round().byte()[..., top : top + size, left : left + size],
            part.y,
        )
        for part in (images.train, images.test)
    )
    return Images(train, test, images.classes, images.mirrored)


def _digits() -> Images:
    """The values 0 to 16 become 0 to 240; a mirrored digit is another or none."""
    from sklearn.datasets import load_digits  # slow to import, and other images do without
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x = (x * 15).astype(np.uint8).reshape(-1, 1, 8, 8)
    x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=_DIGITS_TEST, random_state=_SEED, stratify=y)
    return Images(_part(x_train, y_train), _part(x_test, y_test), tuple("0123456789"), mirrored=False)


def _npz(path: Path) -> Images:
    try:
        with np.load(path, allow_pickle=False) as file:
            x_train, y_train, x_test, y_test = (file[name] for name in _NPZ)
    except Exception as error:  # a damaged file can raise anything
        raise DataError(f"{path} cannot be read: {error}; expected arrays {', '.join(_NPZ)} of numbers") from error
    for name, x, y in (("x_train", x_train, y_train), ("x_test", x_test, y_test)):
        if x.dtype != np.uint8 or x.ndim != 4:
            raise DataError(f"{path}: {name} is {x.dtype}{list(x.shape)}; expected uint8 [N, H, W, C]")
        if y.size != len(x) or not np.issubdtype(y.dtype, np.integer):
            raise DataError(f"{path}: {y.size} {y.dtype} labels for the {len(x)} images of {name}; one integer each")
    classes = tuple(map(str, range(int(max(y_train.max(initial=0), y_test.max(initial=0))) + 1)))
    train, test = (_part(x.transpose(0, 3, 1, 2), y.ravel()) for x, y in ((x_train, y_train), (x_test, y_test)))
    return Images(train, test, classes)


def _cifar(
    path: Path, names: str, names_key: str, labels_key: str, train: tuple[str, ...], test: tuple[str, ...]
) -> Images:
    parts = []
    try:
        classes = tuple(_unpickle(path / names)[names_key])
        for files in (train, test):
            batches = [_unpickle(path / file) for file in files]
            x = np.concatenate([batch["data"] for batch in batches]).reshape(-1, 3, 32, 32)
            parts.append(_part(x, np.concatenate([batch[labels_key] for batch in batches])))
    except TableError as error:
        raise DataError(f"{path} cannot be read as CIFAR: {error}") from error
    except Exception as error:  # a damaged pickle can raise anything
        raise DataError(f"{path} cannot be read as CIFAR: {error!r}; unpack the official archive again") from error
    return Images(parts[0], parts[1], classes)


def _unpickle(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return load_arrays(file)


def _pictures(path: Path, size: int, seed: int) -> Images:
    split = (path / "train").is_dir() and (path / "val").is_dir()
    classes = sorted(folder.name for folder in (path / "train" if split else path).iterdir() if folder.is_dir())
    if len(classes) < 2:
        raise DataError(f"{path} has {len(classes)} folders of pictures, so no two classes: {_ACCEPTED}")
    if split:
        parts = [_read(path / name, classes, size) for name in ("train", "val")]
        return Images(parts[0], parts[1], tuple(classes))
    whole = _read(path, classes, size)
    rest = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed))
    rest = rest[whole.y[rest].argsort(stable=True)]
    chosen = torch.zeros(len(whole), dtype=torch.bool)
    chosen[rest[:: round(1 / _FOLDER_TEST)]] = True
    train, test = (Part(whole.x[rows], whole.y[rows]) for rows in (~chosen, chosen))
    return Images(train, test, tuple(classes))


def _read(path: Path, classes: list[str], size: int) -> Part:
    """Every file of every class."""
    found = [(file, code) for code, name in enumerate(classes) for file in _files(path / name)]
    if not found:
        raise DataError(f"no pictures below {path}: {_ACCEPTED}")
    x = np.empty((len(found), 3, size, size), dtype=np.uint8)
    for row, (file, _) in enumerate(found):
        x[row] = _picture(file, size)
    return _part(x, np.array([code for _, code in found]))


def _files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))


def _picture(file: Path, size: int) -> UInt8[np.ndarray, "3 S S"]:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise DataError("folders of pictures are read with Pillow: pip install pillow") from error
    try:
        with Image.open(file) as picture:
            return np.asarray(ImageOps.fit(picture.convert("RGB"), (size, size))).transpose(2, 0, 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{file} is no picture that Pillow can read ({error}): remove or replace it") from error


def _part(x: np.ndarray, y: np.ndarray) -> Part:
    return Part(torch.from_numpy(np.array(x, dtype=np.uint8)), torch.from_numpy(np.array(y, dtype=np.int64)))
