"""Does a job end once, and as it would undisturbed, however often its worker is killed? And does its stream of events?

A training and a supernet search are jobs of a real service. Each runs once undisturbed; then its worker gets SIGKILL at
random moments, and the service itself in between, while a client follows the events with `Last-Event-ID`. What must
hold: the same digest and the same record, times apart; one end; every event once and in order.

    python benchmarks/service_jobs.py --out docs/results/service_jobs.json
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from report import print_table, save
from service_process import Service

from crlso.client import Client, Job
from service.store.jobs import TERMINAL

JOBS: dict[str, dict[str, Any]] = {
    "train": {"space": "nasbench201", "dataset": "cifar10", "seed": 0},
    "supernet": {"method": "snps", "preset": "small", "set": ["epochs=12"], "seed": 0},
    "search": {"dataset": "cifar10", "strategy": "local", "budget": 300, "seed": 0},
}


def worker_of(job: str) -> psutil.Process | None:
    """The process that works at a job."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if "service.jobs.worker" in command and job in command:
            return process
    return None


def strike(
    service: Service, client: Client, job: str, seconds: float, kills: int, with_service: bool
) -> dict[str, int]:
    """Kill worker, and once the service, at random moments of the time that the job takes undisturbed."""
    rng, struck = np.random.default_rng(0), {"worker": 0, "service": 0}
    pauses = np.diff(np.sort(rng.uniform(0.0, seconds, kills)), prepend=0.0)
    for number, pause in enumerate(pauses):
        time.sleep(pause)
        while (worker := worker_of(job)) is None:
            if client.call("GET", f"/v1/jobs/{job}")["state"] in TERMINAL:
                return struck
            time.sleep(0.05)
        worker.kill()
        struck["worker"] += 1
        if with_service and number == kills // 2:
            service.kill()
            service.wait()
            struck["service"] += 1
    return struck


def outcome(folder: Path, kind: str, name: str, result: dict[str, Any]) -> str:
    """A digest of all that the job has made, its times and its name apart."""
    sha = hashlib.sha256(repr(_timeless(result)).replace(name, "NAME").encode())
    if kind == "supernet":
        for file in ("trace.json", "pareto.json"):
            sha.update((folder / "supernets" / name / file).read_bytes())
    return sha.hexdigest()


def _timeless(found: Any) -> Any:
    if isinstance(found, dict):
        return {key: _timeless(value) for key, value in found.items() if key != "seconds"}
    return [_timeless(value) for value in found] if isinstance(found, list) else found


def follow(job: Job, heard: list[tuple[int, str, dict[str, Any]]]) -> None:
    """Write down a job's events as they come."""
    heard.extend(job.events())


def run_once(service: Service, folder: Path, kind: str, name: str, seconds: float, kills: int) -> dict[str, Any]:
    """One job from its submission to its end."""
    client, heard = Client(service.url), list[tuple[int, str, dict[str, Any]]]()
    named = {} if kind == "search" else {"name": name}
    job, began = client.submit(kind, **JOBS[kind], **named), time.perf_counter()
    follower = threading.Thread(target=follow, args=(job, heard))
    follower.start()
    struck = strike(service, client, job.id, seconds, kills, True) if kills else {"worker": 0, "service": 0}
    follower.join()
    result = client.call("GET", f"/v1/jobs/{job.id}/result")
    ends = [data["state"] for _, what, data in heard if what == "state" and data["state"] in TERMINAL]
    numbers = [number for number, _, _ in heard]
    return {
        "seconds": time.perf_counter() - began,
        "struck": struck,
        "attempts": client.call("GET", f"/v1/jobs/{job.id}")["attempt"],
        "outcome": outcome(folder, kind, name, result),
        "ends": ends,
        "events": len(numbers),
        "events_once_and_in_order": numbers == list(range(1, len(numbers) + 1)),
    }


def main() -> None:
    """Run each job twice and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kinds", nargs="+", default=["train", "supernet"], choices=list(JOBS))
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        service = Service(folder, max_losses=100, lease=5)
        try:
            service.wait()
            for kind in args.kinds:
                calm = run_once(service, folder, kind, f"calm-{kind}", 0.0, 0)
                struck = run_once(service, folder, kind, f"struck-{kind}", calm["seconds"], args.kills)
                same = calm["outcome"] == struck["outcome"]
                rows.append({"kind": kind, "same": same, "undisturbed": calm, "struck": struck})
                print(rows[-1], file=sys.stderr)
        finally:
            service.stop()
    if args.out:
        save(args.out, " ".join(["python", *sys.argv]), rows)
    print_table(
        ("kind", "kills", "attempts", "seconds", "undisturbed", "ends", "same result", "events in order"),
        [
            (
                row["kind"],
                f"{row['struck']['struck']['worker']} + service {row['struck']['struck']['service']}",
                row["struck"]["attempts"],
                row["struck"]["seconds"],
                row["undisturbed"]["seconds"],
                " ".join(row["struck"]["ends"]),
                row["same"],
                row["struck"]["events_once_and_in_order"],
            )
            for row in rows
        ],
    )
    sys.exit(not all(row["same"] and row["struck"]["events_once_and_in_order"] for row in rows))


if __name__ == "__main__":
    main()
