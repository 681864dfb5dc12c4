"""A record, a dispatcher over an executor, and a Ray cluster of two workers on this machine."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

import pytest

from service.executors import make_executor
from service.jobs.dispatcher import Dispatcher
from service.settings import Settings
from service.store.database import Database
from service.store.jobs import TERMINAL, JobStore
from service.store.rows import Origin

os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": os.urandom(24).hex()}  # Ray reads them when imported

ROOT = Path(__file__).parents[3]
SEARCH = {"kind": "search", "space": "nasbench201", "dataset": "cifar10", "strategy": "local", "budget": 60, "seed": 1}


@pytest.fixture(scope="session")
def ray_address():
    """Address of a cluster of the test session's own."""
    pytest.importorskip("ray", reason="ray is not installed: pip install 'crlso[ray]'")
    folder = Path(mkdtemp(prefix="ray-", dir="/tmp"))  # the paths of sockets must be short
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        options = ("--block", "--port=0", f"--ray-client-server-port={free_port()}", "--num-cpus=2")
        options += ("--object-store-memory=80000000", "--include-dashboard=false", "--disable-usage-stats")
        options += (f"--temp-dir={folder}",)
        log = folder / "start.log"
        start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", *options]
        with log.open("w") as file:
            head = subprocess.Popen(start, stdout=file, stderr=file, start_new_session=True)
        try:
            while "Ray runtime started" not in log.read_text():
                assert head.poll() is None, log.read_text()
                time.sleep(0.1)
            (port,) = (folder / "session_latest").glob("gcs_server_port_*")
            yield f"127.0.0.1:{port.read_text()}"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(head.pid, signal.SIGKILL)  # with all that it has started
            head.wait()
            rmtree(folder, ignore_errors=True)


def free_port():
    with socket.socket() as found:
        found.bind(("", 0))
        return found.getsockname()[1]


@pytest.fixture(params=["local", pytest.param("ray", marks=pytest.mark.xdist_group("ray"))])
def where(request):
    """The executor that a test is about; tests with the same cluster share a process of pytest's."""
    return request.param


@pytest.fixture
def settings(tmp_path, where, request):
    return Settings(
        models=tmp_path / "models",
        supernets=tmp_path / "supernets",
        data=tmp_path / "data",
        lease=5.0,
        ray_address=request.getfixturevalue("ray_address") if where == "ray" else None,
    )


@pytest.fixture
def store(settings):
    database = Database(settings.database)
    database.migrate()
    yield JobStore(database)
    database.close()


@pytest.fixture
def executor(settings):
    return make_executor(settings)


@pytest.fixture
def dispatcher(store, executor):
    dispatcher = Dispatcher(store, executor, slots=1, lease=5.0, max_losses=20)
    dispatcher.start()
    yield dispatcher
    if dispatcher.alive:
        dispatcher.close()


@pytest.fixture
def submit(store):
    """Queues a job, a search where nothing else is said; its id."""
    return lambda kind="search", **request: (
        store.submit(Origin("me"), kind, ({**SEARCH} if kind == "search" else {"kind": kind}) | request)[0].id
    )


@pytest.fixture
def wait_for(store):
    """Waits until a job is in one of some states, by default at its end."""

    def wait_for(job, *states, seconds=120.0):
        deadline = time.monotonic() + seconds
        while store.get(job).state not in (states or TERMINAL):
            assert time.monotonic() < deadline, store.get(job)
            time.sleep(0.02)
        return store.get(job)

    return wait_for


@pytest.fixture
def wait_for_progress(store):
    """Waits until a job has reported."""

    def wait(job, seconds=60.0):
        deadline = time.monotonic() + seconds
        while store.get(job).progress is None:
            assert time.monotonic() < deadline, store.get(job)
            time.sleep(0.02)

    return wait


@pytest.fixture
def processes():
    """Lists the processes that work at a job, wherever they are on this machine; their titles name it."""

    def find(job):
        titles = {path.parent.name: path for path in Path("/proc").glob("[0-9]*/cmdline")}
        found = []
        for process, path in titles.items():
            with suppress(OSError):
                title = path.read_bytes()
                if job.encode() in title and int(process) != os.getpid():
                    found.append(int(process))
        return found

    return find
