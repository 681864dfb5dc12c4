"""A state comes back as it was, whatever happens while it is written, and nothing else passes for one."""

import errno
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from crlso.exceptions import ProblemError
from crlso.supernet.checkpoint import load_state, save_state

DTYPES = (
    torch.bool,
    torch.uint8,
    torch.int32,
    torch.int64,
    torch.float16,
    torch.bfloat16,
    torch.float32,
    torch.float64,
    torch.complex64,
)
LAYOUTS = (
    lambda x: x,
    lambda x: x.transpose(0, -1) if x.dim() else x,
    lambda x: x[::2] if x.dim() else x,
    lambda x: x.expand(3, *x.shape),
)


def draw(shape, dtype, layout, seed):
    """Bytes at random, NaN and denormal numbers among them."""
    count = int(torch.tensor(shape).prod())
    values = torch.randint(256, (count * dtype.itemsize,), generator=torch.Generator().manual_seed(seed))
    values = (values % 2).bool() if dtype == torch.bool else values.to(torch.uint8).view(dtype)
    return layout(values.reshape(shape))


TENSORS = st.builds(
    draw,
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
    st.sampled_from(DTYPES),
    st.sampled_from(LAYOUTS),
    st.integers(0, 2**31),
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
STATES = st.recursive(
    VALUES | TENSORS,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=3) | st.integers(), part, max_size=4),
    max_leaves=12,
)


def assert_same(found, expected):
    """To the last bit, in the same order, and of the same type."""
    assert type(found) is type(expected)
    if isinstance(expected, torch.Tensor):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert torch.equal(*(torch.stack([x]).flatten().view(torch.uint8) for x in (found, expected)))
    elif isinstance(expected, dict):
        assert list(map(repr, found)) == list(map(repr, expected))
        assert_same(list(found.values()), list(expected.values()))
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        assert repr(found) == repr(expected)  # which tells -0.0 from 0.0, and NaN is NaN


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "checkpoint.safetensors"


@settings(max_examples=100)
@given(state=STATES)
def test_any_state_comes_back_as_it_was(path, state):
    save_state(path, state)
    assert_same(load_state(path), state)


def test_a_tuple_comes_back_as_a_list(path):
    save_state(path, {"betas": (0.5, 0.999), "best": (1, torch.ones(2))})
    assert_same(load_state(path), {"betas": [0.5, 0.999], "best": [1, torch.ones(2)]})


def test_two_names_of_one_storage_both_come_back(path):
    x = torch.arange(6.0)
    state = {"whole": x, "again": x, "tail": x[2:], "columns": x.view(2, 3).T}
    save_state(path, state)
    assert_same(load_state(path), state)


def test_parameters_come_back_as_plain_tensors(path):
    parameter = torch.nn.Parameter(torch.randn(3))
    save_state(path, parameter)
    assert_same(load_state(path), parameter.detach())


def test_a_file_and_what_was_read_from_it_do_not_change_each_other(path):
    save_state(path, [torch.ones(1000)])
    (first,) = load_state(path)
    first.add_(1)
    assert_same(load_state(path), [torch.ones(1000)])
    save_state(path, [torch.zeros(1000)])
    assert_same(first, torch.full((1000,), 2.0))


@pytest.mark.parametrize(
    "make",
    [
        lambda parameters: torch.optim.Adam(parameters, 1e-2, (0.5, 0.999), weight_decay=1e-3, fused=True),
        lambda parameters: torch.optim.SGD(parameters, 1e-2, momentum=0.9, weight_decay=1e-3),
    ],
)
def test_an_optimizer_goes_on_as_if_nothing_had_been(path, make):
    def run(parameter, optimizer, seed):
        generator = torch.Generator().manual_seed(seed)
        for _ in range(4):
            parameter.grad = torch.randn(parameter.shape, generator=generator)
            optimizer.step()

    parameter = torch.nn.Parameter(torch.randn(7, 5, generator=torch.Generator().manual_seed(0)))
    optimizer = make([parameter])
    run(parameter, optimizer, 1)
    save_state(path, {"parameter": parameter, "optimizer": optimizer.state_dict()})
    run(parameter, optimizer, 2)
    saved = load_state(path)
    other = torch.nn.Parameter(saved["parameter"])
    resumed = make([other])
    resumed.load_state_dict(saved["optimizer"])
    run(other, resumed, 2)
    assert torch.equal(other, parameter)
    for key, value in optimizer.state[parameter].items():
        assert torch.equal(resumed.state[other][key], value)


def test_a_write_that_is_cut_off_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    save_state(path, "old")

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            save_state(path, "new")
    assert load_state(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_half_written_file_of_a_killed_process_does_no_harm(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    save_state(path, "old")
    (tmp_path / f".{path.name}.partial").write_bytes(b"half")
    assert load_state(path) == "old"
    save_state(path, "new")
    assert load_state(path) == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_said_and_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    save_state(path, "old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(ProblemError, match="cannot be written: No space left"):
            save_state(path, "new")
    assert load_state(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_where_nothing_can_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    for place in ("missing/checkpoint", "file/checkpoint"):
        with pytest.raises(ProblemError, match=f"{place} cannot be written"):
            save_state(tmp_path / place, 1)


@settings(max_examples=30)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_no_checkpoint(path, share):
    save_state(path, {"x": torch.ones(50), "numbers": list(range(20))})
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ProblemError, match="cannot be read as a checkpoint"):
        load_state(path)


@pytest.mark.parametrize(
    "described",
    ["no JSON", "5", "[]", '["tensor", "7"]', '["other", 1]', '["mapping", [["key"]]]', '["mapping", [[[], 1]]]'],
)
def test_a_file_whose_description_describes_nothing_is_no_checkpoint(path, described):
    save_file({"0": torch.ones(2)}, path, {"state": described})
    with pytest.raises(ProblemError, match="cannot be read as a checkpoint"):
        load_state(path)


def test_what_is_something_else_is_no_checkpoint(tmp_path):
    save_file({"weight": torch.ones(2)}, tmp_path / "network")
    (tmp_path / "text").write_text("something else, and longer than any header could be said to be")
    for name in ("network", "text", "missing", "."):
        with pytest.raises(ProblemError, match="cannot be read as a checkpoint") as caught:
            load_state(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)
