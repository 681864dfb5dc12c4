"""Does the running service answer anything at all otherwise than its OpenAPI document says?

Schemathesis, with all of its checks and following the document's links from what was made to what can be done with it,
sends generated requests, sound and unsound ones, to a real service with a model. Two rules are left to the
service: a request that fits its schema may still be refused with 4xx, since an architecture must parse and a name must
exist; and 503 is an answer, which says when to come back, while a strategy thinks or after the one model was deleted.

    python benchmarks/service_fuzz.py models/nasbench201-cifar10 --cases 20000 --out docs/results/service_fuzz.json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from report import print_table, save
from service_process import Service

_CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "4xx", "503"]

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", "503"]

[[operations]]  # events of a job go on as long as the job
include-path = "/v1/jobs/{job}/events"
request-timeout = 0.5
"""


def fuzz(service: Service, folder: Path, examples: int, seed: int) -> dict[str, Any]:
    """One run of schemathesis; how many cases it sent, and what failed."""
    config, events = folder / "schemathesis.toml", folder / f"events-{seed}.ndjson"
    config.write_text(_CONFIG)
    command = [Path(sys.executable).with_name("schemathesis"), "--config-file", config, "run"]
    command += [f"{service.url}/openapi.json", "--checks", "all", "--max-examples", examples, "--seed", seed]
    command += ["--report", "ndjson", "--report-ndjson-path", events, "--request-timeout", 60]
    command += ["--suppress-health-check", "all", "--max-redirects", 0]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", "NO_COLOR": "1"}
    environment |= {"SCHEMATHESIS_HOOKS": "service_fuzz_hooks", "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
    return {
        "seed": seed,
        "examples": examples,
        "exit": done.returncode,
        "summary": "\n".join(line[:300] for line in done.stdout.splitlines()),
        **_count(events),
    }


def _count(events: Path) -> dict[str, Any]:
    """Requests sent and checks that failed, of a report."""
    cases, failures = 0, []
    for line in events.read_text().splitlines():
        found = json.loads(line)
        for recorder in _recorders(found):
            cases += len(recorder.get("interactions", {}))
            for checks in recorder.get("checks", {}).values():
                failures += [check["name"] for check in checks if check["status"] not in ("success", "skip")]
    return {"cases": cases, "failures": failures}


def _recorders(found: Any) -> list[dict[str, Any]]:
    if isinstance(found, dict):
        own = [found["recorder"]] if isinstance(found.get("recorder"), dict) else []
        return own + [one for key, value in found.items() if key != "recorder" for one in _recorders(value)]
    return []


def main() -> None:
    """Fuzz until there were enough cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="folder of a trained model")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--examples", type=int, default=100, help="a run's most requests for each operation and phase")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    runs, began = list[dict[str, Any]](), time.perf_counter()
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        shutil.copytree(args.model, folder / "models" / args.model.name)
        service = Service(folder, rate=1e6, burst=10**6)
        try:
            service.wait()
            while sum(run["cases"] for run in runs) < args.cases and not any(run["exit"] for run in runs):
                runs.append(fuzz(service, folder, args.examples, len(runs)))
                print({name: runs[-1][name] for name in ("seed", "cases", "exit", "failures")}, file=sys.stderr)
            log = (folder / "service.log").read_text()
        finally:
            service.stop()
    failed = [run for run in runs if run["exit"]]
    for run in failed:
        print(run["summary"], file=sys.stderr)
    faults = log.count("Traceback")
    for fault in log.split("Traceback")[1:]:
        print("Traceback", fault[:3000], file=sys.stderr)
    cases = sum(run["cases"] for run in runs)
    result = {"cases": cases, "failed_runs": len(failed), "tracebacks": faults, "seconds": time.perf_counter() - began}
    if args.out:
        save(args.out, " ".join(["python", *sys.argv]), {**result, "runs": [{**run, "summary": ""} for run in runs]})
    print_table(tuple(result), [tuple(result.values())])
    sys.exit(bool(failed or faults))


if __name__ == "__main__":
    main()
