"""Jobs in processes: they end with the undisturbed result however often a worker is killed, and exactly once."""

import json
import os
import signal
import time

import numpy as np
import pytest

from service.executors.local import LocalExecutor
from service.jobs.dispatcher import Dispatcher
from service.settings import Settings
from service.store.database import Database
from service.store.jobs import TERMINAL, JobStore
from service.store.rows import Origin

SEARCH = {"kind": "search", "space": "nasbench201", "dataset": "cifar10", "strategy": "local", "budget": 60, "seed": 1}


@pytest.fixture
def settings(tmp_path):
    return Settings(models=tmp_path / "models", supernets=tmp_path / "supernets", data=tmp_path / "data", lease=5.0)


@pytest.fixture
def store(settings):
    database = Database(settings.database)
    database.migrate()
    yield JobStore(database)
    database.close()


@pytest.fixture
def executor(settings):
    return LocalExecutor(settings)


@pytest.fixture
def dispatcher(store, executor):
    dispatcher = Dispatcher(store, executor, slots=1, lease=5.0, max_losses=20)
    dispatcher.start()
    yield dispatcher
    if dispatcher.alive:
        dispatcher.close()


def wait_for(store, job, *states, seconds=120.0):
    deadline = time.monotonic() + seconds
    while store.get(job).state not in (states or TERMINAL):
        assert time.monotonic() < deadline, store.get(job)
        time.sleep(0.02)
    return store.get(job)


def timeless(document):
    """A search's record without the seconds that it took."""
    return json.loads(
        json.dumps(document), object_hook=lambda found: {k: v for k, v in found.items() if k != "seconds"}
    )


def test_a_search_survives_its_workers(store, executor, dispatcher):
    undisturbed = store.submit(Origin("me"), "search", SEARCH)[0].id
    assert wait_for(store, undisturbed).state == "succeeded"
    disturbed, rng, kills = store.submit(Origin("me"), "search", SEARCH)[0].id, np.random.default_rng(0), 0
    while store.get(disturbed).state not in TERMINAL:
        for worker in list(executor.workers) if kills < 3 else ():
            time.sleep(rng.uniform(1.0, 4.0))
            if worker.poll() is None:
                worker.send_signal(signal.SIGKILL)
                kills += 1
        time.sleep(0.05)
    assert store.get(disturbed).state == "succeeded", store.get(disturbed)
    assert timeless(store.result(disturbed)) == timeless(store.result(undisturbed))
    ends = [event for event in store.events(disturbed, kind="state") if event.data["state"] in TERMINAL]
    assert len(ends) == 1


def test_cancelling_ends_the_process(store, executor, dispatcher):
    job = store.submit(Origin("me"), "search", {**SEARCH, "budget": 5000})[0].id
    wait_for(store, job, "running")
    (worker,) = executor.workers
    store.cancel(job)
    assert wait_for(store, job).state == "cancelled"
    assert worker.wait(20) == 0


def test_at_the_end_a_job_is_put_back_and_goes_on_later(store, executor, dispatcher, settings):
    job = store.submit(Origin("me"), "search", {**SEARCH, "budget": 400})[0].id
    wait_for(store, job, "running")
    deadline = time.monotonic() + 60
    while store.get(job).progress is None and time.monotonic() < deadline:
        time.sleep(0.05)
    dispatcher.close()
    left = store.get(job)
    assert (left.state, left.losses, executor.active) == ("queued", 0, 0)
    again = Dispatcher(store, LocalExecutor(settings), slots=1, lease=5.0, max_losses=3)
    again.start()
    assert wait_for(store, job).state == "succeeded"
    again.close()
    assert len(store.result(job)["history"]) == 400


def test_a_worker_outlives_its_server(store, executor, dispatcher, settings):
    """A server that is killed leaves its worker behind; the next one waits for it and starts no other."""
    job = store.submit(Origin("me"), "search", {**SEARCH, "budget": 400})[0].id
    wait_for(store, job, "running")
    (worker,) = executor.workers
    executor.workers.clear()  # what a killed server knows
    dispatcher.close()
    again = Dispatcher(store, LocalExecutor(settings), slots=1, lease=5.0, max_losses=3)
    again.start()
    assert wait_for(store, job).attempt == 1
    again.close()
    assert os.waitstatus_to_exitcode(worker.wait(20)) == 0 if worker.returncode is None else worker.returncode == 0


def test_a_worker_that_cannot_begin_is_a_loss(store, executor, dispatcher):
    job = store.submit(Origin("me"), "no such kind", {})[0].id
    dispatcher._max_losses = 1
    assert wait_for(store, job).state == "failed"
