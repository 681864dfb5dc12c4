"""Jobs are handed out as far as there are slots, and taken back from who is gone and from nobody else."""

import time

import pytest

from service.jobs.dispatcher import Dispatcher
from service.store.rows import Origin


class StandIn:
    """An executor whose workers do nothing until the test says so."""

    def __init__(self):
        self.started, self.gone, self.abandoned, self.drained = [], [], [], False
        self.reachable, self.without_room = True, []

    def ready(self):
        return self.reachable

    def start(self, job):
        self.started.append(job)

    def waiting(self):
        return self.without_room

    def ended(self):
        gone, self.gone = self.gone, []
        for job in gone:
            self.started.remove(job)
        return gone

    def abandon(self, job):
        self.abandoned.append(job.id)

    def drain(self, patience):
        self.drained = True
        self.gone = list(self.started)

    @property
    def active(self):
        return len(self.started)


def until(true, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def executor():
    return StandIn()


@pytest.fixture
def dispatcher(store, executor):
    dispatcher = Dispatcher(store, executor, slots=2, lease=0.6, max_losses=2)
    yield dispatcher
    if dispatcher.alive:
        dispatcher.close()


def submit(store, n=1):
    return [store.submit(Origin("me"), "train", {"n": number})[0].id for number in range(n)]


def test_slots_are_filled_and_refilled(store, executor, dispatcher):
    jobs = submit(store, 3)
    dispatcher.start()
    until(lambda: executor.active == 2)
    for job in executor.started:
        store.beat(job.id, job.attempt)
    first = executor.started[0]
    store.finish(first.id, first.attempt, "succeeded", result={})
    executor.gone.append(first)
    until(lambda: [job.id for job in executor.started] == jobs[1:])
    assert store.get(first.id).state == "succeeded"


def test_a_job_whose_worker_dies_is_tried_again_and_then_fails(store, executor, dispatcher):
    (job,) = submit(store)
    dispatcher.start()
    for attempt in (1, 2):
        until(lambda n=attempt: [found.attempt for found in executor.started] == [n])
        executor.gone.append(executor.started[0])
    until(lambda: store.get(job).state == "failed")


def test_whoever_beats_keeps_the_job(store, executor, dispatcher):
    (job,) = submit(store)
    store.claim()  # by another server
    dispatcher.start()
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        assert store.beat(job, 1) == "ours"
        time.sleep(0.1)
    until(lambda: [found.attempt for found in executor.started] == [2])  # silent for the time of a lease
    assert executor.abandoned == [job]


def test_a_worker_has_time_to_begin(store, executor, dispatcher, monkeypatch):
    (job,) = submit(store)
    store.claim()
    dispatcher.start()
    time.sleep(1.2)
    assert store.get(job).attempt == 1
    monkeypatch.setattr("service.jobs.dispatcher._START_UP", 1.0)
    until(lambda: store.get(job).attempt == 2)


def test_a_clock_that_jumps_takes_nobodys_job_away(store, executor, dispatcher, monkeypatch):
    (job,) = submit(store)
    store.claim()
    dispatcher.start()
    monkeypatch.setattr(time, "time", lambda: 4e9)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert store.beat(job, 1) == "ours"
        time.sleep(0.1)


def test_at_the_end_all_is_put_back(store, executor, dispatcher):
    (job,) = submit(store)
    dispatcher.start()
    until(lambda: executor.active == 1)
    dispatcher.close()
    assert executor.drained
    assert store.get(job).state == "queued"
