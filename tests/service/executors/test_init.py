"""The setting chooses, and it makes no difference: every executor's jobs end once, with the undisturbed result."""

import json
import os
import shutil
import signal
import sys
import time

import numpy as np
import pytest
import torch

from crlso.spaces import get_space
from crlso.supernet.paths import PathSettings, train_paths
from crlso.supernet.sources import load_images
from service.executors import LocalExecutor, make_executor
from service.jobs.context import connected
from service.jobs.dispatcher import Dispatcher
from service.jobs.work import work
from service.settings import Settings
from service.store.database import SettingError
from service.store.jobs import TERMINAL

CELLS = tuple(arch.text for arch in get_space("nasbench201").sample(4, np.random.default_rng(0)))
TINY = ("epochs=1", "population=300", "latent=4", "hidden=16", "decoder_hidden=16", "icnn_hidden=8", "members=1")


def timeless(result):
    """A result without the seconds that it took and the names of temporary folders."""
    slow = ("seconds", "elapsed_ms")
    return json.loads(
        json.dumps(result), object_hook=lambda found: {key: value for key, value in found.items() if key not in slow}
    )


@pytest.fixture
def undisturbed(settings, store):
    """Carries a queued job out in this process; its result."""

    def carry_out(job):
        attempt = store.claim().attempt
        with connected(settings, job, attempt) as (own, line):
            work(settings, job, attempt, line, own)
        return timeless(store.result(job))

    return carry_out


@pytest.fixture
def supernet(settings, save_digits, tmp_path):
    """A supernet, `tiny`."""
    data = save_digits(tmp_path / "few.npz")
    trained = PathSettings(dataset=str(data), width=2, cells=1, batch=8, epochs=1)
    train_paths(trained, load_images(data), settings.supernets / "tiny", torch.device("cpu"))


@pytest.fixture
def model(settings, bundle):
    """A model, `small`."""
    shutil.copytree(bundle, settings.models / "small")


@pytest.fixture
def forget(executor):
    """Leaves an executor with what is left of it when its server is killed."""

    def forget():
        if isinstance(executor, LocalExecutor):
            executor.workers.clear()
        else:
            executor._processes._process.kill()

    return forget


def test_the_same_jobs_have_the_same_results(settings, store, executor, submit, wait_for, undisturbed, supernet, model):
    jobs = [
        ("train", {"name": "new", "space": "nasbench201", "dataset": "cifar10", "labels": 50, "set": TINY}),
        ("search", {"dataset": None, "supernet": "tiny", "strategy": "random", "budget": 12}),
        ("evaluate", {"supernet": "tiny", "architectures": CELLS}),
        ("optimize", {"space": "nasbench201", "model": "small", "num_architectures": 2}),
    ]
    expected = []
    for kind, request in jobs:
        expected.append(undisturbed(submit(kind, **request)))
    shutil.rmtree(settings.models / "new")
    queued = [submit(kind, **request) for kind, request in jobs]
    dispatcher = Dispatcher(store, executor, slots=2, lease=20.0, max_losses=1)
    dispatcher.start()
    for job, result in zip(queued, expected, strict=True):
        assert wait_for(job).state == "succeeded", store.get(job)
        assert timeless(store.result(job)) == result
    dispatcher.close()


def test_a_search_survives_its_workers(store, dispatcher, submit, wait_for, undisturbed, processes, settings):
    job, kills = submit(budget=400), 0
    while kills < 2 and store.get(job).state not in TERMINAL:
        standing, found = store.get(job), processes(job)
        if found and standing.losses == kills and (standing.beat > 0 if kills == 0 else standing.progress is not None):
            for process in found:
                os.kill(process, signal.SIGKILL)
            kills += 1
        time.sleep(0.02)
    assert wait_for(job).state == "succeeded", store.get(job)
    assert 1 <= store.get(job).losses <= kills  # a worker may be hit when it has just said its last word
    ends = [event for event in store.events(job, kind="state") if event.data["state"] in TERMINAL]
    assert len(ends) == 1
    dispatcher.close()
    assert timeless(store.result(job)) == undisturbed(submit(budget=400))


def test_cancelling_ends_the_process(store, executor, dispatcher, submit, wait_for, wait_for_progress, processes):
    job = submit(budget=5000)
    wait_for_progress(job)
    assert len(processes(job)) == 1
    store.cancel(job)
    assert wait_for(job).state == "cancelled"
    deadline = time.monotonic() + 20
    while executor.active or processes(job):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_at_the_end_a_job_is_put_back_and_goes_on_later(
    store, executor, dispatcher, settings, submit, wait_for, wait_for_progress
):
    job = submit(budget=400)
    wait_for_progress(job)
    dispatcher.close()
    left = store.get(job)
    assert (left.state, left.losses, executor.active) == ("queued", 0, 0)
    again = Dispatcher(store, make_executor(settings), slots=1, lease=5.0, max_losses=3)
    again.start()
    assert wait_for(job).state == "succeeded"
    again.close()
    assert len(store.result(job)["history"]) == 400


def test_a_worker_outlives_its_server(store, executor, dispatcher, settings, submit, wait_for, forget, processes):
    """A server that is killed leaves its worker behind; the next one waits for it and starts no other."""
    job = submit(budget=400)
    while not (executor.active and processes(job)):  # the process is there before the executor knows of it
        time.sleep(0.02)
    forget()
    dispatcher.close()
    again = Dispatcher(store, make_executor(settings), slots=1, lease=5.0, max_losses=3)
    again.start()
    assert wait_for(job).attempt == 1
    again.close()


def test_a_worker_that_cannot_begin_is_a_loss(store, dispatcher, submit, wait_for):
    dispatcher._max_losses = 1
    assert wait_for(submit("no such kind")).state == "failed"


def test_processes_of_this_machine_where_nothing_is_said():
    assert isinstance(make_executor(Settings()), LocalExecutor)


def test_without_ray_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    for module in ("ray", "ray_cluster", "ray_worker"):
        monkeypatch.delitem(sys.modules, f"service.executors.{module}", raising=False)
    with pytest.raises(SettingError, match=r"pip install 'crlso\[ray\]'"):
        make_executor(Settings(ray_address="auto"))
