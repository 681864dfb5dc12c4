"""How long does a warm POST /optimize take over HTTP, and what memory does the service need?

Starts the service on a free port over a directory of models, warms it, and sends requests that differ in their seed
from one client over one connection: 8 architectures, 64 starts, 100 steps. Then the service is started again and must
answer the first requests exactly as before. Also measured, each in a process of its own: loading the embedded table.

    python benchmarks/optimize_latency.py --models models --model nasbench201-cifar10 --out docs/results/latency.json
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from report import print_table, save
from service_process import memory

REQUEST = {"num_architectures": 8, "num_starts": 64, "num_steps": 100}
LIMITED = {**REQUEST, "constraints": [{"metric": "params", "max": 400_000}]}
WARM_UP = 20
LOAD_TABLE = """
import time
import psutil
import crlso.tables
before, began = psutil.Process().memory_info().rss, time.perf_counter()
table = crlso.tables.load_table("nasbench201", "cifar10")
print(time.perf_counter() - began, (psutil.Process().memory_info().rss - before) / 2**20)
"""


@contextmanager
def running(models: Path) -> Iterator[tuple[HTTPConnection, psutil.Process]]:
    """The service over a directory of models, ready to answer, and a connection to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {**os.environ, "CRLSO_MODELS": str(models), "CRLSO_PORT": str(port)}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, "-m", "service"], env=settings, stdout=quiet, stderr=quiet)
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        wait_until_ready(connection)
        yield connection, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(connection: HTTPConnection, seconds: float = 60) -> None:
    """Poll /health/ready; a service that is not ready in time is an error."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            connection.request("GET", "/health/ready")
            response = connection.getresponse()
            response.read()
            if response.status == 200:
                return
        except OSError:
            connection.close()
        time.sleep(0.1)
    raise TimeoutError(f"the service was not ready within {seconds:g} s")


def post(connection: HTTPConnection, body: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """Milliseconds until the whole answer was read, and the answer."""
    content = json.dumps(body)
    began = time.perf_counter()
    connection.request("POST", "/optimize", content, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    elapsed = 1e3 * (time.perf_counter() - began)
    if response.status != 200:
        raise RuntimeError(f"{response.status}: {answer.decode()}")
    return elapsed, json.loads(answer)


def measure(connection: HTTPConnection, model: str, body: dict[str, Any], count: int) -> tuple[list[float], list[Any]]:
    """Times and answers, without the elapsed time, of requests with seeds counted from 0."""
    for seed in range(WARM_UP):
        post(connection, {"model": model, **body, "seed": seed})
    times, answers = [], []
    for seed in range(count):
        elapsed, answer = post(connection, {"model": model, **body, "seed": seed})
        del answer["elapsed_ms"]
        times.append(elapsed)
        answers.append(answer)
    return times, answers


def main() -> None:
    """Measure, restart, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--model", default="nasbench201-cifar10")
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    results: dict[str, Any] = {}
    with running(args.models) as (connection, process):
        for name, body in (("plain", REQUEST), ("params limited", LIMITED)):
            times, answers = measure(connection, args.model, body, args.requests)
            results[name] = {"p50": np.median(times), "p99": np.quantile(times, 0.99), "max": max(times)}
            if name == "plain":
                first = answers[:WARM_UP]
        results["service memory MB"] = memory(process)
    with running(args.models) as (connection, _):
        _, again = measure(connection, args.model, REQUEST, WARM_UP)
    results["identical after a restart"] = again == first
    loaded = subprocess.run([sys.executable, "-c", LOAD_TABLE], capture_output=True, text=True, check=True).stdout
    results["table seconds"], results["table MB"] = map(float, loaded.split())
    if args.out:
        save(args.out, " ".join(["python", *sys.argv]), results)
    timed = [(name, *map(float, value.values())) for name, value in results.items() if isinstance(value, dict)]
    print_table(("request", "p50 ms", "p99 ms", "max ms"), timed)
    for name, value in results.items():
        if not isinstance(value, dict):
            print(f"{name}: {value}")


if __name__ == "__main__":
    main()
