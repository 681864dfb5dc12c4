"""What is particular to a cluster: jobs wait for room, the service outlives it, evaluations are shared out."""

import os
import signal
import time
from types import SimpleNamespace

import pytest

from service.executors.ray import RayExecutor
from service.jobs.context import StoppedError, one_after_another
from service.settings import Settings

pytestmark = pytest.mark.xdist_group("ray")


@pytest.fixture
def where():
    return "ray"


@pytest.fixture
def large(settings):
    """Settings whose jobs want more than the cluster has."""
    return settings.model_copy(update={"job_threads": 3})


def until(true, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class TestRoom:
    """A cluster that has no room for a job yet."""

    @pytest.fixture
    def executor(self, large):
        return RayExecutor(large)

    def test_who_waits_for_room_is_not_lost(self, store, executor, dispatcher, submit, monkeypatch):
        monkeypatch.setattr("service.jobs.dispatcher._START_UP", 0.5)
        dispatcher._lease = 0.5
        job = submit()
        until(lambda: store.get(job).beat > 8)
        assert (store.get(job).attempt, [waiting.id for waiting in executor.waiting()]) == (1, [job])
        store.cancel(job)
        until(lambda: store.get(job).state == "cancelled")

    def test_who_waits_for_room_is_put_back(self, store, executor, dispatcher, submit):
        job = submit()
        until(lambda: store.get(job).beat > 0)
        dispatcher.close()
        assert (store.get(job).state, store.get(job).losses, executor.ended()) == ("queued", 0, [])


def test_the_service_outlives_ray(store, executor, dispatcher, submit, wait_for):
    """Ray ends the process that uses it when the cluster is away; jobs go on, and new ones are taken up."""
    until(lambda: executor._cluster is not None)
    first = executor._processes._process
    first.kill()
    assert wait_for(submit(budget=5)).state == "succeeded"
    assert executor._processes._process != first


def test_jobs_wait_while_there_is_no_cluster():
    executor = RayExecutor(Settings(ray_address="127.0.0.1:9"))
    assert not executor.ready()
    assert (executor.waiting(), executor.ended(), executor.active) == ([], [], 0)
    began = time.monotonic()
    executor.drain(20.0)
    assert time.monotonic() - began < 5


class TestFanOut:
    """Evaluations beside the job's own."""

    @pytest.fixture
    def line(self):
        return SimpleNamespace(order=None)

    @pytest.fixture
    def fan_out(self, ray_address, line):
        import ray

        from service.executors.ray_worker import RayFanOut

        ray.init(ray_address, ignore_reinit_error=True, log_to_driver=False)
        yield RayFanOut(line, 1)
        ray.shutdown()

    def test_it_is_one_after_another_at_the_same_time(self, fan_out, tmp_path):
        own, mark = os.getpid(), tmp_path / "mark"

        def square(number):
            if os.getpid() != own:
                mark.touch()
            while not mark.exists():
                time.sleep(0.01)  # for the others to begin
            time.sleep(0.1)
            return number**2, os.getpid() == own

        outcomes = fan_out(square, range(20))
        assert [value for value, _ in outcomes] == one_after_another(lambda number: number**2, range(20))
        assert {here for _, here in outcomes} == {True, False}
        assert fan_out(square, []) == []

    def test_an_evaluation_whose_process_dies_is_made_again(self, fan_out, tmp_path):
        own, mark = os.getpid(), tmp_path / "mark"

        def deadly(number):
            if os.getpid() != own and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            while not mark.exists():
                time.sleep(0.01)
            return number

        assert fan_out(deadly, range(10)) == list(range(10))

    def test_errors_are_those_of_the_function(self, fan_out):
        def refuse(number):
            raise KeyError(number)

        with pytest.raises(KeyError):
            fan_out(refuse, range(4))

    def test_it_stops_when_told_to(self, fan_out, line, tmp_path):
        def count(number):
            (tmp_path / str(number)).touch()
            time.sleep(0.1)
            return number

        def stop(number):
            line.order = "cancelled"
            return count(number)

        with pytest.raises(StoppedError):
            fan_out(stop, range(100))
        time.sleep(0.5)
        begun = len(list(tmp_path.iterdir()))
        time.sleep(0.5)
        assert len(list(tmp_path.iterdir())) == begun < 10
