import asyncio
from threading import Event

import pytest
import torch
from threadpoolctl import threadpool_info

from service.workers import BusyError, Workers


def test_each_runs_torch_on_one_thread():
    async def ask():
        return await workers.run(torch.get_num_threads)

    workers = Workers(2, 0)
    assert asyncio.run(ask()) == 1
    workers.close()


def test_errors_come_back_and_free_the_worker():
    async def fail_twice():
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await workers.run(lambda: 1 / 0)

    workers = Workers(1, 0)
    asyncio.run(fail_twice())
    workers.close()


def test_a_given_up_call_occupies_its_worker_until_it_returns():
    async def give_up():
        job = asyncio.create_task(workers.run(release.wait, 10))
        await asyncio.sleep(0)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        with pytest.raises(BusyError):
            await workers.run(int)
        release.set()
        while True:
            try:
                return await workers.run(int)
            except BusyError:
                await asyncio.sleep(0.001)

    release = Event()
    workers = Workers(1, 0)
    assert asyncio.run(asyncio.wait_for(give_up(), 10)) == 0
    workers.close()


def test_a_call_given_up_while_it_waits_frees_its_place_and_is_never_run():
    async def give_up():
        running = asyncio.create_task(workers.run(release.wait, 10))
        waiting = asyncio.create_task(workers.run(ran.append, "given up"))
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await workers.run(int)
        waiting.cancel()
        await asyncio.wait({waiting})
        following = asyncio.create_task(workers.run(ran.append, "following"))
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(running, following)

    release, ran = Event(), []
    workers = Workers(1, 1)
    asyncio.run(asyncio.wait_for(give_up(), 10))
    workers.close()
    assert ran == ["following"]


def test_numpys_algebra_runs_on_one_thread_too():
    workers = Workers(1, 0)
    assert {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"} == {1}
    workers.close()


def test_waiting_calls_run_in_turn():
    async def ask():
        return await asyncio.gather(*(workers.run(int, number) for number in range(6)))

    workers = Workers(1, 5)
    assert asyncio.run(ask()) == list(range(6))
    workers.close()
