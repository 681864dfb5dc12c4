"""An attempt ends as its kind ends, and leaves what a later one needs."""

import threading

import pytest
from pydantic import BaseModel

from crlso.exceptions import ProblemError
from service.jobs.context import connected
from service.jobs.kinds import KINDS
from service.jobs.kinds.base import Kind
from service.jobs.work import job_folder, work
from service.store.rows import Origin


class Anything(BaseModel):
    """A request of the stand-in kind."""


@pytest.fixture
def carry_out(settings, store, monkeypatch):
    """Submits a job that runs the given function, and works at it."""

    def carry_out(run, job=None):
        monkeypatch.setitem(KINDS, "stand-in", Kind(Anything, lambda _, context: run(context), lambda *_: None))
        job = job or store.submit(Origin("me"), "stand-in", {})[0].id
        attempt = store.claim().attempt
        with connected(settings, job, attempt) as (own, line):
            work(settings, job, attempt, line, own)
        return store.get(job)

    return carry_out


def test_success(store, settings, carry_out):
    job = carry_out(lambda context: {"folder": context.folder.is_dir()})
    assert (job.state, store.result(job.id)) == ("succeeded", {"folder": True})
    assert not job_folder(settings, job.id).exists()


def test_what_the_user_can_mend_is_told(carry_out):
    def run(_):
        raise ProblemError("choose another name")

    job = carry_out(run)
    assert (job.state, job.error) == ("failed", "choose another name")


def test_faults_of_the_service_are_not_told(carry_out):
    def run(_):
        raise RuntimeError("/secret/path")

    job = carry_out(run)
    assert job.state == "failed"
    assert "secret" not in job.error


def test_a_released_job_goes_on_with_what_it_kept(store, settings, carry_out):
    def run(context):
        kept = context.folder / "kept"
        if kept.exists():
            return {"kept": kept.read_text()}
        kept.write_text("so far")
        context._line.stop("released")
        return context.check()

    job = carry_out(run)
    assert (job.state, job.losses) == ("queued", 0)
    again = carry_out(run, job.id)
    assert (again.state, again.attempt, store.result(job.id)) == ("succeeded", 2, {"kept": "so far"})


def test_a_cancelled_job_leaves_nothing(store, settings, carry_out):
    def run(context):
        (context.folder / "kept").touch()
        store.cancel(store.running()[0].id)
        while True:
            context.check()

    job = carry_out(run)
    assert job.state == "cancelled"
    assert not job_folder(settings, job.id).exists()


def test_two_attempts_never_share_the_folder(store, settings, carry_out):
    """The first one is given up while it works; the second one waits until it has noticed."""
    began, inside = threading.Event(), []

    def run(context):
        inside.append("in")
        began.set()
        if len(inside) == 1:
            while context._line.order is None:
                pass
            inside.append("out")
            context.check()
        return {"inside": list(inside)}

    first = threading.Thread(target=carry_out, args=(run,))
    first.start()
    began.wait()
    (job,) = store.running()
    store.reclaim(job.id, job.attempt, None, 3)
    again = carry_out(run, job.id)
    first.join()
    assert store.result(again.id) == {"inside": ["in", "out", "in"]}
