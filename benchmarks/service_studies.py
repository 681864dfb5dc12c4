"""Does a study lose or double a trial, whoever asks at once and whatever dies meanwhile?

Clients ask for one architecture at a time and tell it at once, all of them together on one study, over HTTP with
`crlso.client`. Then the same while the service is killed with SIGKILL and started again at random moments. On SQLite
and on a PostgreSQL of the benchmark's own. What must hold afterwards: as many trials as were asked for, each told once,
by the client that it was given to and with the value that this client told; no two of one isomorphism class.

    python benchmarks/service_studies.py --out docs/results/service_studies.json
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from report import print_table, save
from service_process import Service

from crlso.client import Client
from crlso.spaces import get_space
from service.testing import postgres


def follow(url: str, study: str, client: str, turns: int) -> tuple[list[tuple[int, str, float]], list[float]]:
    """One client's trials, and the seconds of its requests."""
    follower, mine, seconds = Client(url).study(study), [], []
    for turn in range(turns):
        began = time.perf_counter()
        (trial,) = follower.ask(client)
        seconds.append(time.perf_counter() - began)
        value = float(len(mine) + 1000 * turn)
        began = time.perf_counter()
        follower.tell(trial["number"], value)
        seconds.append(time.perf_counter() - began)
        mine.append((trial["number"], trial["architecture"], value))
    return mine, seconds


def all_trials(client: Client, study: str) -> list[dict[str, Any]]:
    """Every trial of a study."""
    trials, token = [], ""
    while True:
        page = client.call("GET", f"/v1/studies/{study}/trials?page_size=200{token}")
        trials += page["items"]
        if page["next_page_token"] is None:
            return trials
        token = f"&page_token={page['next_page_token']}"


def faults_of(trials: list[dict[str, Any]], told: dict[str, list[tuple[int, str, float]]]) -> list[str]:
    """What is lost, doubled or otherwise than the clients know it."""
    known = {number: (client, arch, value) for client, mine in told.items() for number, arch, value in mine}
    done = {
        trial["number"]: (trial["client_id"], trial["architecture"], trial["values"][0])
        for trial in trials
        if trial["state"] == "done"
    }
    given = sum(len(mine) for mine in told.values())
    classes = {get_space("nasbench201").parse(trial["architecture"]).key for trial in trials}
    faults = []
    if len(known) != given:
        faults.append(f"{given - len(known)} trials were given to two clients")
    if known != done:
        faults.append(f"{len(set(known.items()) ^ set(done.items()))} trials are not what their clients told")
    if len(classes) != len(trials):
        faults.append(f"{len(trials) - len(classes)} trials are twins of others")
    return faults


def kill_at_random(service: Service, kills: int, over: threading.Event, rng: np.random.Generator) -> int:
    """Kill the service so often, unless the clients are done before; how often it was."""
    done = 0
    while done < kills and not over.wait(rng.uniform(0.5, 3.0)):
        service.kill()
        service.wait()
        done += 1
    return done


def run_once(folder: Path, database: str | None, strategy: str, clients: int, turns: int, kills: int) -> dict[str, Any]:
    """One study with all of its clients."""
    settings = {} if database is None else {"database_url": database}
    service = Service(folder, **settings)
    try:
        service.wait()
        client = Client(service.url)
        study = client.create_study(space="nasbench201", strategy=strategy, seed=0).id
        names, over = [f"client {number}" for number in range(clients)], threading.Event()
        began = time.perf_counter()
        with ThreadPoolExecutor(clients + 1) as threads:
            killer = threads.submit(kill_at_random, service, kills, over, np.random.default_rng(0))
            found = list(threads.map(lambda name: follow(service.url, study, name, turns), names))
            seconds = time.perf_counter() - began
            over.set()
            killed = killer.result()
        trials = all_trials(client, study)
        told = dict(zip(names, (mine for mine, _ in found), strict=True))
        latencies = np.concatenate([seconds for _, seconds in found])
        return {
            "strategy": strategy,
            "database": "sqlite" if database is None else "postgresql",
            "kills": killed,
            "trials": sum(trial["state"] == "done" for trial in trials),
            "faults": faults_of(trials, told),
            "seconds": seconds,
            "median_ms": 1000 * float(np.median(latencies)),
            "p99_ms": 1000 * float(np.quantile(latencies, 0.99)),
        }
    finally:
        service.stop()


@contextmanager
def databases(names: list[str]) -> Iterator[dict[str, Any]]:
    """For each kind a function that makes an empty one; None stands for the service's own."""
    if "postgresql" not in names:
        yield {"sqlite": lambda _: None}
        return
    with postgres() as server:
        yield {"sqlite": lambda _: None, "postgresql": server.create}


def main() -> None:
    """Run all studies and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--kills", type=int, nargs="+", default=[0, 5])
    parser.add_argument("--strategies", nargs="+", default=["random", "crlso"])
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    with databases(args.databases) as make:
        for strategy in args.strategies:
            for name in args.databases:
                for kills in args.kills:
                    with tempfile.TemporaryDirectory() as folder:
                        database = make[name](f"{strategy}_{kills}")
                        rows.append(run_once(Path(folder), database, strategy, args.clients, args.turns, kills))
                    print(rows[-1], file=sys.stderr)
    if args.out:
        save(args.out, " ".join(["python", *sys.argv]), rows)
    names = ("strategy", "database", "kills", "trials", "seconds", "median_ms", "p99_ms", "faults")
    print_table(names, [[row[name] if row[name] != [] else "none" for name in names] for row in rows])
    sys.exit(any(row["faults"] for row in rows))


if __name__ == "__main__":
    main()
