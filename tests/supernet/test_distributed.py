"""Pieces partition a batch, and what is learned depends on their number and not on who computes them."""

import os
import socket
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from crlso.exceptions import ProblemError
from crlso.supernet.distributed import World, joined
from crlso.supernet.methods.base import backward

PROCESSES = 2
PROCESS = """
import sys
import torch
from crlso.supernet.distributed import joined
from crlso.supernet.methods.base import backward

torch.set_num_threads(1)
folder = sys.argv[1]
with joined(torch.device("cpu")) as world:
    given = torch.load(f"{folder}/given-{world.rank}.pt")
    world.average(given["tensors"])
    network, batch = torch.nn.Linear(4, 3).double(), given["batch"]
    network.load_state_dict(given["network"])
    loss = lambda x, y: torch.nn.functional.cross_entropy(network(x), y)
    gradients = {}
    for accumulate in (1, 2):
        backward(list(network.parameters()), world.pieces(batch, accumulate), loss, world)
        gradients[accumulate] = [parameter.grad.clone() for parameter in network.parameters()]
    world.wait()
    found = {"world": (world.rank, world.size), "tensors": given["tensors"], "gradients": gradients}
    torch.save(found, f"{folder}/found-{world.rank}.pt")
"""


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def some_tensors(seed):
    """Of several types and shapes, none of whose means would be rounded twice."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(3, 4, generator=generator),
        torch.randn(2, 3, generator=generator, dtype=torch.float64),
        torch.randn((), generator=generator),
        torch.randint(-8, 8, (5,), generator=generator).bfloat16(),
        torch.randn(4, 3, generator=generator).T,
        torch.zeros(0, 3),
        torch.randn(1, 2, 1, generator=generator, dtype=torch.float64),
    ]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """What each of two processes was given, and what it found."""
    folder, given = tmp_path_factory.mktemp("world"), []
    torch.manual_seed(0)
    network, batch = torch.nn.Linear(4, 3).double(), (torch.randn(10, 4).double(), torch.arange(10) % 3)
    for rank in range(PROCESSES):
        given.append({"tensors": some_tensors(rank), "network": network.state_dict(), "batch": batch})
        torch.save(given[rank], folder / f"given-{rank}.pt")
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(PROCESSES)}
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(folder)],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(PROCESSES)
    ]
    try:
        assert [job.wait(timeout=120) for job in jobs] == [0] * PROCESSES
    finally:
        for job in jobs:
            job.kill()
    return given, [torch.load(folder / f"found-{rank}.pt") for rank in range(PROCESSES)]


@given(size=st.integers(1, 5), accumulate=st.integers(1, 5), more=st.integers(0, 40))
def test_pieces_partition_a_batch_in_order(size, accumulate, more):
    images = size * accumulate + more
    x, y = torch.arange(images)[:, None].expand(images, 2), torch.arange(images)
    shares = [World(rank, size).pieces((x, y), accumulate) for rank in range(size)]
    assert all(len(share) == accumulate for share in shares)
    pieces = [piece for share in shares for piece in share]
    assert torch.equal(torch.cat([piece[0] for piece in pieces]), x)
    assert torch.equal(torch.cat([piece[1] for piece in pieces]), y)
    sizes = {len(piece[1]) for piece in pieces}
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1


def test_a_piece_without_images_is_refused():
    with pytest.raises(ProblemError, match=r"batch of 5 cannot be cut into 6 pieces: .* lower `accumulate`"):
        World(1, 2).pieces((torch.zeros(5, 2), torch.zeros(5)), 3)


def test_every_process_gets_the_mean(together):
    given, found = together
    for rank, one in enumerate(found):
        assert one["world"] == (rank, PROCESSES)
        for number, tensor in enumerate(one["tensors"]):
            of_all = torch.stack([other["tensors"][number] for other in given])
            assert tensor.dtype == of_all.dtype
            assert_close(tensor, of_all.mean(dim=0))
            assert torch.equal(tensor, found[0]["tensors"][number])


@pytest.mark.parametrize("accumulate", [1, 2])
def test_processes_equal_one_that_accumulates_their_pieces(together, accumulate):
    given, found = together
    network = torch.nn.Linear(4, 3).double()
    network.load_state_dict(given[0]["network"])
    parameters = list(network.parameters())
    pieces = World().pieces(given[0]["batch"], accumulate * PROCESSES)
    backward(parameters, pieces, lambda x, y: torch.nn.functional.cross_entropy(network(x), y), World())
    for one in found:
        assert_close(one["gradients"][accumulate], [parameter.grad for parameter in parameters])


def test_alone_nothing_is_averaged_and_nobody_waited_for(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined(torch.device("cpu")) as world:
        assert world == World(0, 1)
        tensors = some_tensors(0)
        world.average(tensors)
        world.wait()
        assert all(torch.equal(*pair) for pair in zip(tensors, some_tensors(0), strict=True))
        assert not torch.distributed.is_initialized()
