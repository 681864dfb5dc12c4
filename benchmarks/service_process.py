"""A service in a process of its own, which benchmarks may kill."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil


class Service:
    """`python -m service` at a port that stays the same when it is started again.

    Args:
        folder: of its record, its models and its log.
        settings: `CRLSO_*` without the prefix.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        own = {"port": self.port, "data": folder, "models": folder / "models", "supernets": folder / "supernets"}
        self._log = folder / "service.log"
        self._environment = {f"CRLSO_{name.upper()}": str(value) for name, value in {**own, **settings}.items()}
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **self._environment}
        with self._log.open("ab") as log:
            return subprocess.Popen([sys.executable, "-m", "service"], env=environment, stdout=log, stderr=log)

    def wait(self, seconds: float = 120.0) -> None:
        """Return when it answers."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/health/live", timeout=5).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(self._log.read_text()[-2000:]) from None
                time.sleep(0.05)

    def kill(self) -> None:
        """End it at once, as `kill -9` does, and start another in its place."""
        self.process.kill()
        self.process.wait()
        self.process = self._start()

    def stop(self) -> int:
        """End it as an operator does; its exit code."""
        self.process.terminate()
        return self.process.wait(60)


def family(service: psutil.Process) -> list[psutil.Process]:
    """A service and the processes that it has started."""
    return [service, *service.children(recursive=True)]


def memory(service: psutil.Process) -> float:
    """MB that they occupy, what they share counted once."""
    return float(sum(process.memory_full_info().pss for process in family(service)) / 2**20)
