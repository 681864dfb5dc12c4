"""Shared by the tests of supernets: a few images, and a method at its beginning."""

import pytest
import torch

SPACE = "darts-flexible-dnad@3"


@pytest.fixture(scope="session")
def few():
    """Forty digits to train on and thirty to test on: an epoch takes a fraction of a second."""
    from crlso.supernet.data import Images, Part
    from crlso.supernet.sources import load_images

    digits = load_images("digits")
    train, test = (Part(part.x[:count], part.y[:count]) for part, count in ((digits.train, 40), (digits.test, 30)))
    return Images(train, test, digits.classes, mirrored=False)


@pytest.fixture(scope="session")
def batch(few):
    """Some images, normalised, and their classes."""
    from crlso.supernet.data import Batches

    return next(Batches(few.train, 14, 0, few.plain()).epoch(0))


@pytest.fixture(scope="session")
def begin():
    """A method of some settings in a small supernet, fresh."""
    from crlso.spaces import get_space
    from crlso.supernet.methods import Setup, make_method
    from crlso.supernet.methods.base import Precision
    from crlso.supernet.network import FlexibleSupernet

    def make(settings, *, space=SPACE, epochs=4, teacher=None, images=None, dtype=torch.float32):
        torch.manual_seed(0)
        space = get_space(space)
        supernet = FlexibleSupernet(space.operations, 10, (1, 8, 8), width=2, cells=space.cells).to(dtype)
        return make_method(
            settings, Setup(space, supernet, Precision("float32", torch.device("cpu")), epochs), teacher, images
        )

    return make
