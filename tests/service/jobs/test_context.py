"""What a job says arrives in order and once, and it learns that it is to stop."""

import logging
import time

import pytest

from service.jobs.context import Context, Line, LogHandler, StoppedError, one_after_another
from service.store.database import StoreError
from service.store.rows import Origin


@pytest.fixture
def job(store):
    store.submit(Origin("me"), "train", {})
    return store.claim()


def until(true, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def line_of(store, job, **options):
    return Line(store, job.id, job.attempt, interval=0.02, **options)


def test_reports_arrive(store, job, settings, tmp_path):
    with line_of(store, job) as line:
        context = Context(settings, tmp_path, line)
        for done in range(5):
            context.report(done, 4, "so far", loss=1.0 / (done + 1))
            line.say("log", {"line": f"line {done}"})
    lines = [event.data["line"] for event in store.events(job.id, kind="log")]
    assert lines == [f"line {done}" for done in range(5)]
    assert store.get(job.id).progress == {"done": 4, "total": 4, "message": "so far", "loss": 0.2}


def test_of_reports_in_a_row_the_last_is_delivered(store, job, settings, tmp_path):
    line = Line(store, job.id, job.attempt, interval=60)
    with line:
        for done in range(100):
            Context(settings, tmp_path, line).report(done, 99, "")
    assert len(store.events(job.id, kind="progress")) == 1


def test_it_beats(store, job):
    with line_of(store, job):
        until(lambda: store.get(job.id).beat > 3)


def test_a_job_learns_that_it_was_cancelled(store, job, settings, tmp_path):
    with line_of(store, job) as line:
        context = Context(settings, tmp_path, line)
        context.check()
        store.cancel(job.id)
        until(lambda: line.order == "cancelled")
        with pytest.raises(StoppedError):
            context.report(1, 2, "")


def test_a_job_learns_that_it_is_somebody_elses(store, job):
    store.reclaim(job.id, job.attempt, None, 3)
    with line_of(store, job) as line:
        until(lambda: line.order == "lost")


def test_a_job_that_does_not_stop_is_broken_off(store, job, monkeypatch):
    monkeypatch.setattr("service.jobs.context._GRACE", 0.05)
    aborted = []
    with line_of(store, job, abort=aborted.append) as line:
        line.stop("released")
        until(lambda: aborted)
    assert set(aborted) == {"released"}


def test_nothing_is_lost_while_the_record_is_away(store, job, monkeypatch):
    say, away = store.say, [True]

    def sometimes(*arguments):
        if away[0]:
            raise StoreError("away")
        return say(*arguments)

    monkeypatch.setattr(store, "say", sometimes)
    with line_of(store, job) as line:
        for number in range(10):
            line.say("log", {"line": str(number)})
            time.sleep(0.01)
        away[0] = False
    assert [event.data["line"] for event in store.events(job.id, kind="log")] == [str(number) for number in range(10)]


def test_what_crlso_logs_is_said(store, job):
    with line_of(store, job) as line:
        logger, handler = logging.getLogger("crlso.something"), LogHandler(line)
        logger.addHandler(handler)
        logger.warning("a %s", "warning")
        logger.removeHandler(handler)
    assert [event.data for event in store.events(job.id, kind="log")] == [{"line": "a warning"}]


def test_one_worker_does_one_after_another():
    assert one_after_another(lambda number: number**2, range(4)) == [0, 1, 4, 9]
