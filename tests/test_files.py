"""A file is replaced whole, or what was there stays; nothing half-written is left."""

import pytest

from crlso.files import replacing


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    return path


def test_the_new_content_takes_the_place_of_the_old(path):
    with replacing(path, path.with_name(".part")) as file:
        file.write(b"ne")
        assert path.read_bytes() == b"old"
        file.write(b"w")
    assert path.read_bytes() == b"new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("full"), ValueError("no table"), KeyboardInterrupt()])
def test_on_any_error_the_old_content_stays_alone(path, error):
    def fail():
        with replacing(path, path.with_name(".part")) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_bytes() == b"old"
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_says_so_itself(path):
    with pytest.raises(NotADirectoryError), replacing(path / "below", path / ".part"):
        pass
