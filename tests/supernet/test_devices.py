"""A device is one that computes, and what does not fit its memory is refused with what would."""

import os
import re
import sys

import pytest
import torch

from crlso.exceptions import ProblemError
from crlso.supernet import devices
from crlso.supernet.devices import check_memory, choose_device, free_memory
from crlso.supernet.memory import memory_estimate
from crlso.supernet.network import FlexibleSupernet

SHAPE = (3, 8, 8)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def supernet():
    return FlexibleSupernet(("skip_connect", "sep_conv_3x3"), 4, SHAPE, width=4, cells=3)


def check(supernet, batch, free, monkeypatch):
    monkeypatch.setattr(devices, "free_memory", lambda device: free)
    return check_memory(supernet, batch, SHAPE, moments=2)


def test_the_cpu_is_there():
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["", "gpu", "cuda:99", "meta", "hpu", "vulkan"])
def test_another_device_is_answered_by_those_that_are_there(monkeypatch, name):
    with pytest.raises(ProblemError, match=f"no device '{name}' here .*; there are cpu"):
        choose_device(name)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ProblemError, match=r"there are cpu, cuda:0, cuda:1$"):
        choose_device(name)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not tell")
def test_free_memory_is_some_of_the_machines():
    assert 0 < free_memory(CPU) < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_free_memory_is_what_the_system_tells_in_bytes(tmp_path, monkeypatch):
    told = tmp_path / "meminfo"
    monkeypatch.setattr(devices, "_MEMINFO", told)
    assert free_memory(CPU) is None
    told.write_text("MemTotal: 4096 kB\nMemFree: 1024 kB\nMemAvailable:    3072 kB\n")
    assert free_memory(CPU) == 3 * 2**20
    told.write_text("MemTotal: 4096 kB\n")
    assert free_memory(CPU) is None


@pytest.mark.parametrize("fits", [1, 7, 30, 63])
def test_what_does_not_fit_is_refused_with_the_largest_batch_that_does(supernet, monkeypatch, fits):
    free = memory_estimate(supernet, fits, SHAPE, moments=2) + 100  # less than an image takes
    with pytest.raises(ProblemError, match=r"64 takes about .* on cpu.*`accumulate`.*`checkpointed`") as caught:
        check(supernet, 64, free, monkeypatch)
    named = int(re.search(r"a batch of (\d+) fits", str(caught.value)).group(1))
    assert named == fits
    needed, there = check(supernet, named, free, monkeypatch)
    assert needed <= free == there
    with pytest.raises(ProblemError):
        check(supernet, named + 1, free, monkeypatch)


def test_a_network_that_does_not_fit_at_all_is_to_be_smaller(supernet, monkeypatch):
    for free in (0, memory_estimate(supernet, 1, SHAPE, moments=2) - 1):
        with pytest.raises(ProblemError, match="not even one image fits: take fewer channels or cells"):
            check(supernet, 64, free, monkeypatch)


def test_what_takes_all_that_is_free_fits(supernet, monkeypatch):
    needed = memory_estimate(supernet, 64, SHAPE, moments=2)
    assert check(supernet, 64, needed, monkeypatch) == (needed, needed)
    with pytest.raises(ProblemError, match="a batch of 63 fits"):
        check(supernet, 64, needed - 1, monkeypatch)


def test_nothing_is_refused_where_the_system_does_not_tell(supernet, monkeypatch):
    assert check(supernet, 10**6, None, monkeypatch)[1] is None
