"""Processes answer as threads do, come back when they are killed, and never outlive their server."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from threading import Event, Thread

import psutil
import pytest

from crlso.exceptions import ProblemError, UnknownNameError
from service.schemas import OptimizeRequest
from service.settings import Settings
from service.solvers import Solvers
from service.solving import Answerer, seal
from service.workers import BusyError

REQUEST = OptimizeRequest(space="nasbench201", num_architectures=2, num_starts=4, num_steps=20)


@pytest.fixture
def settings(bundle, tmp_path):
    shutil.copytree(bundle, tmp_path / "models" / "small")
    return Settings(models=tmp_path / "models", supernets=tmp_path / "supernets", data=tmp_path / "data", workers=2)


@pytest.fixture
def solvers(settings):
    solvers = Solvers(settings)
    solvers.start()
    yield solvers
    solvers.close()


def timeless(solved):
    """An answer but for the milliseconds that it took."""
    head, _, tail = solved.body.partition(b'"elapsed_ms":')
    return solved._replace(body=head + tail.partition(b",")[2])


def test_a_process_answers_as_a_thread_does(settings, solvers):
    answer = Answerer(settings)
    for seed in range(3):
        request = REQUEST.model_copy(update={"seed": seed})
        assert timeless(solvers(request)) == timeless(seal(answer(request)))


def test_what_a_request_is_refused_for_comes_back(solvers):
    with pytest.raises(UnknownNameError, match="unknown model 'large'; known: small"):
        solvers(REQUEST.model_copy(update={"model": "large"}))
    with pytest.raises(ProblemError, match="no architecture of nasbench201 keeps all limits"):
        solvers(OptimizeRequest(space="nasbench201", constraints=[{"metric": "params", "max": 1}]))


def test_a_model_that_comes_later_answers(settings, solvers, bundle):
    solvers(REQUEST)
    shutil.copytree(bundle, settings.models / "another")
    assert solvers(REQUEST.model_copy(update={"model": "another"})).model == "another"


def test_a_killed_process_is_replaced_and_the_request_answered(solvers):
    expected = timeless(solvers(REQUEST))
    kill()
    assert timeless(solvers(REQUEST)) == expected


def test_a_request_that_kills_whoever_works_at_it_is_refused(solvers):
    def murder():
        while not over.wait(0.001):
            kill()

    over = Event()
    thread = Thread(target=murder)
    thread.start()
    try:
        with pytest.raises(BusyError):
            solvers(REQUEST.model_copy(update={"num_steps": 500}))
    finally:
        over.set()
        thread.join()
    assert solvers(REQUEST).model == "small"


def test_they_end_with_a_server_that_is_killed(settings):
    environment = {**os.environ, **settings.environment(), "CRLSO_PORT": "0"}
    command = [sys.executable, "-m", "service"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert any("running on" in line for line in server.stderr)
        family, deadline = [], time.monotonic() + 60
        while len(family) < 3 and time.monotonic() < deadline:  # one forks, one looks after names, the third solves
            family = psutil.Process(server.pid).children(recursive=True)
            time.sleep(0.05)
        server.kill()
    assert len(family) >= 3
    _, left = psutil.wait_procs(family, 20)
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []


def kill():
    """End the processes that solve, as the lack of memory does."""
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if "multiprocessing.forkserver" in " ".join(child.cmdline()):
                for solver in child.children():
                    solver.kill()
