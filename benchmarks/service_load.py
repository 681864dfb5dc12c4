"""What does POST /optimize bear: how many requests a second, for how long, and what becomes of those beyond?

Starts the service on a free port and asks from this process, a thread and a kept connection a client, every request
with a seed of its own: 8 architectures, 64 starts, 100 steps. Three parts, each over a service that is warm:

- sustained: 16 clients for a minute, each asking again as soon as it is answered;
- overload: 64 clients for 20 s, which ask again after a twentieth of a second whatever `Retry-After` says;
- endurance: 20,000 requests of 16 clients, with ascents of 20 steps, and the service's memory after every thousand.

CPU seconds of the service tell what an idle machine would do where this one is not: `free cores` is how much of its
processors other programs left over. Figures of latency count the answers with status 200.

    python benchmarks/service_load.py --models models --model nasbench201-cifar10 --out docs/results/service_load.json
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from optimize_latency import REQUEST, running
from report import print_table, save
from service_process import family, memory

CLIENTS, CROWD = 16, 64
BRIEF = REQUEST | {"num_steps": 20}  # for the endurance, which is about memory
PAUSE = 0.05  # seconds before a client of the crowd asks again
REFUSED = (429, 503)
WARM_UP = 500  # requests; the first ones fill what the service remembers
HEADERS = {"Content-Type": "application/json", "Prefer": "wait=60"}  # a job would hide how long an answer takes


@dataclass
class Tally:
    """What clients saw; appending is atomic, so that they need no lock."""

    times: list[float] = field(default_factory=list)
    statuses: list[int | str] = field(default_factory=list)
    silent: list[int] = field(default_factory=list)
    """Refusals without a time to come back after."""


class Load:
    """Clients of one service, with seeds that no two requests share."""

    def __init__(self, port: int, model: str) -> None:
        self._port, self._model = port, model
        self._seeds = count()

    def ask(
        self, clients: int, more: Callable[[int], bool], body: dict[str, Any] = REQUEST, pause: float = 0.0
    ) -> Tally:
        """Ask with so many clients for as long as `more` says so of the number of answers."""
        tally = Tally()
        threads = [threading.Thread(target=self._client, args=(tally, more, body, pause)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return tally

    def _client(self, tally: Tally, more: Callable[[int], bool], body: dict[str, Any], pause: float) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=120)
        while more(len(tally.statuses)):
            seed = next(self._seeds)
            began = time.perf_counter()
            try:
                content = json.dumps(body | {"model": self._model, "seed": seed})
                connection.request("POST", "/optimize", content, HEADERS)
                response = connection.getresponse()
                answer = response.read()
            except (OSError, HTTPException) as error:
                connection.close()
                time.sleep(PAUSE)
                tally.statuses.append(type(error).__name__)
                continue
            whole = response.status != 200 or f'"seed":{seed},'.encode() in answer
            tally.statuses.append(response.status if whole else "another's answer")
            if response.status == 200:
                tally.times.append(time.perf_counter() - began)
            elif response.status in REFUSED and not response.headers.get("Retry-After", "").isdigit():
                tally.silent.append(response.status)
            if pause:
                time.sleep(pause)
        connection.close()


@dataclass
class Watch:
    """Time that went by, for the service and for the whole machine."""

    service: psutil.Process
    began: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        self._cpu, self._machine, self._own = self._seconds(), psutil.cpu_times(), sum(psutil.Process().cpu_times()[:2])

    def read(self, tally: Tally) -> dict[str, Any]:
        """Rates and latencies of what was answered meanwhile."""
        seconds = time.perf_counter() - self.began
        cpu, own = self._seconds() - self._cpu, sum(psutil.Process().cpu_times()[:2]) - self._own
        now = psutil.cpu_times()
        idle = (now.idle + now.iowait) - (self._machine.idle + self._machine.iowait)
        good = max(1, len(tally.times))
        milliseconds = 1e3 * np.array(tally.times or [np.nan])
        return {
            "seconds": seconds,
            "answers": len(tally.times),
            "requests/s": len(tally.times) / seconds,
            **{f"p{q} ms": float(np.percentile(milliseconds, q)) for q in (50, 95, 99)},
            "statuses": dict(Counter(map(str, tally.statuses))),
            "refused without Retry-After": len(tally.silent),
            "service CPU ms/answer": 1e3 * cpu / good,
            "client CPU ms/answer": 1e3 * own / good,
            "free cores": (idle + cpu + own) / seconds,
            "service MB": memory(self.service),
        }

    def _seconds(self) -> float:
        return float(sum(sum(process.cpu_times()[:2]) for process in family(self.service)))


def endure(load: Load, service: psutil.Process, requests: int) -> dict[str, Any]:
    """Memory after every thousand requests."""
    load.ask(CLIENTS, lambda answered: answered < WARM_UP, BRIEF)
    megabytes = [memory(service)]
    watch, every = Watch(service), Tally()
    for thousand in range(1, 1 + max(1, requests // 1000)):
        tally = load.ask(CLIENTS, lambda answered: answered < min(1000, requests), BRIEF)
        for kept, new in ((every.times, tally.times), (every.statuses, tally.statuses), (every.silent, tally.silent)):
            kept.extend(new)
        megabytes.append(memory(service))
        print(f"{thousand},000 requests: {megabytes[-1]:.1f} MB", file=sys.stderr, flush=True)
        if not megabytes[-1]:
            raise RuntimeError(f"the service has died: {Counter(map(str, tally.statuses))}")
    return watch.read(every) | {"MB by thousand": megabytes, "growth %": 100 * (megabytes[-1] / megabytes[0] - 1)}


def sustain(load: Load, service: psutil.Process, clients: int, seconds: float, pause: float = 0.0) -> dict[str, Any]:
    """So many clients for so long."""
    load.ask(clients, lambda answered: answered < WARM_UP // 5, pause=pause)
    watch = Watch(service)
    until = watch.began + seconds
    found = {"clients": clients} | watch.read(load.ask(clients, lambda _: time.perf_counter() < until, pause=pause))
    print(found, file=sys.stderr, flush=True)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--model", default="nasbench201-cifar10")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--requests", type=int, default=20_000, help="of the endurance; 0 leaves it out")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as data:
        os.environ["CRLSO_DATA"] = data  # the record of a service that may run here stays out of it
        with running(args.models) as (connection, service):
            load = Load(connection.port, args.model)
            results["sustained"] = sustain(load, service, CLIENTS, args.seconds)
            results["overload"] = sustain(load, service, CROWD, args.seconds / 3, PAUSE)
            results["after the overload"] = sustain(load, service, CLIENTS, args.seconds / 6)
            if args.requests:
                results["endurance"] = endure(load, service, args.requests)
    if args.out:
        save(args.out, " ".join(["python", *sys.argv]), results)
    names = ("requests/s", "p50 ms", "p95 ms", "p99 ms", "service CPU ms/answer", "free cores", "service MB")
    print_table(("part", *names), [(part, *(found[name] for name in names)) for part, found in results.items()])
    for part, found in results.items():
        print(f"{part}: {found['statuses']}, {found['refused without Retry-After']} without Retry-After")
    if args.requests:
        print(f"endurance: {results['endurance']['growth %']:.1f} % more memory after {args.requests:,} requests")


if __name__ == "__main__":
    main()
