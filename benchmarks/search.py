r"""How many queries does a strategy need: all strategies by one runner, on the same data, from the same random starts.

For every data set, strategy and seed one search in memory, on one thread. Isomorphic twins are one architecture that
the table has measured several times: a queried class counts with the value of its best member, for every strategy
alike. Of the best class so far, by that rule, `regret` is how far it lies below the best of the table, in the metric's
unit, and `rank` how many classes of the table are better, plus one. The optimum is reached with rank 1. What a strategy
is told is the value of the very text that it asked for. A search ends with the question that brought the best value of
the table: nothing of what is reported can change afterwards.

    python benchmarks/search.py --strategies random local gp crlso --seeds 20 --out search.json
    python benchmarks/search.py --table nasbench201.csv --metric cifar10_val_200ep --test-metric cifar10_test_200ep \
        --strategies gp --seeds 20 --out search.json
    python benchmarks/search.py --merge search.json more.json --out all.json --plot all.png

Runs that the output already holds are kept and not repeated, if their settings are the same; hence a large benchmark
can be run in pieces, and one that was stopped goes on. `--merge` takes in runs of other files on the same condition.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from report import environment, print_table, run_each
from threadpoolctl import threadpool_limits

from crlso.evaluators import TableEvaluator
from crlso.search.registry import make_strategy, strategy_names
from crlso.search.runner import Search
from crlso.spaces import get_space
from crlso.tables import Table, load_table, read_table, table_names
from crlso.tables.files import SUFFIXES

CHECKPOINTS = (20, 50, 100, 200)
QUARTILES = (0.25, 0.5, 0.75)
NEAR, BY = 0.1, 150  # how many seeds come so near to the optimum, in the metric's unit, by so many queries


@dataclass(frozen=True)
class Data:
    """One column of one table, and how a column that the search does not see scores what it finds.

    Attributes:
        label: what the data set is called in the results.
        space: of the architectures.
        source: name of an embedded table, or a file.
        metric: what the search optimises.
        test: what the best found is scored by at the end, if anything.
    """

    label: str
    space: str
    source: str
    metric: str
    test: str | None

    def table(self) -> Table:
        """The table with the columns needed."""
        names = [name for name in (self.metric, self.test) if name]
        from_file = self.source.endswith(SUFFIXES)
        return read_table(self.source, self.space, names) if from_file else load_table(self.space, self.source)


@dataclass(frozen=True)
class Truth:
    """What a data set knows and no strategy sees.

    Attributes:
        evaluator: looks the metric up.
        credit: the best member's value of every class, larger is better.
        ranked: these values in ascending order.
        row: of every text in the table.
        test: the test metric of every text that has one.
    """

    evaluator: TableEvaluator
    credit: dict[str, float]
    ranked: Float[np.ndarray, "D"]
    row: dict[str, int]
    test: dict[str, float]


@cache
def truth(data: Data) -> Truth:
    """Read a table, once a process."""
    table = data.table()
    evaluator = TableEvaluator(table, [data.metric])
    credit: dict[str, float] = {}
    for arch in evaluator.candidates:
        (value,) = evaluator.evaluate(arch)
        credit[arch.key] = max(credit.get(arch.key, -np.inf), evaluator.metrics[0].sign * value)
    row = {text: number for number, text in enumerate(table.texts)}
    test = {} if data.test is None else dict(zip(table.texts, table.column(data.test).tolist(), strict=True))
    return Truth(evaluator, credit, np.sort(list(credit.values())), row, test)


def measure(data: Data, strategy: str, seed: int, numbers: dict[str, int]) -> dict[str, Any]:
    """One search; `steps` lists [query, regret, rank] wherever the best so far changes."""
    known, space = truth(data), get_space(data.space)
    with threadpool_limits(1):
        asker = make_strategy(strategy, space, seed=seed, candidates=known.evaluator.candidates, objectives=1)
        search = Search(asker, known.evaluator.metrics, **numbers)
        goal = known.evaluator.metrics[0].sign * known.ranked[-1]
        while goal not in (query.values[0] for query in search.history.queries) and (asked := search.ask()):
            for arch in asked:
                search.tell(arch, *known.evaluator.evaluate(arch))
    history = search.history
    texts = [query.arch for query in history.queries]
    best, steps = -np.inf, []
    for number, text in enumerate(texts, start=1):
        if (credit := known.credit[space.parse(text).key]) > best:
            best = credit
            rank = 1 + len(known.ranked) - int(np.searchsorted(known.ranked, best, side="right"))
            steps.append([number, float(known.ranked[-1] - best), rank])
    return {
        "data": data.label,
        "strategy": strategy,
        "seed": seed,
        "optimum_at": steps[-1][0] if steps[-1][2] == 1 else None,
        "steps": steps,
        "test": known.test.get(texts[history.best[0]]),
        "overhead_s": sum(query.seconds for query in history.queries) / len(texts),
        "values": [query.values[0] for query in history.queries],
        "rows": [known.row[text] for text in texts],
    }


def curve(found: dict[str, Any], budget: int, column: int) -> Float[np.ndarray, "budget"]:
    """Regret (column 1) or rank (column 2) after each query; the last one stays where a search ended early."""
    line = np.empty(budget)
    for step in found["steps"]:
        line[step[0] - 1 :] = step[column]
    return line


def summary(runs: list[dict[str, Any]], budget: int) -> list[Any]:
    """One row of the table: all seeds of a strategy on a data set."""
    reached = np.array([np.inf if found["optimum_at"] is None else found["optimum_at"] for found in runs])
    first, median, third = (_number(quartile(reached, share), budget) for share in QUARTILES)
    near = np.mean([curve(found, budget, 1)[min(BY, budget) - 1] <= NEAR for found in runs])
    shares = (f"{np.isfinite(reached).mean():.0%}", f"{near:.0%}")
    row: list[Any] = [len(runs), f"{median} ({first} to {third})", *shares]
    for column, digits in ((1, 3), (2, 1)):
        lines = np.array([curve(found, budget, column) for found in runs])
        row += [_spread(lines[:, point - 1], digits) for point in CHECKPOINTS if point <= budget]
    tests = np.array([found["test"] for found in runs], dtype=float)
    return [
        *row,
        "" if np.isnan(tests).all() else _spread(tests, 3),
        f"{np.mean([found['overhead_s'] for found in runs]):.4f}",
    ]


def quartile(values: Float[np.ndarray, "runs"], share: float) -> float:
    """Midway between the two values that enclose the quantile; infinite as soon as one of them is."""
    low, high = (float(np.quantile(values, share, method=side)) for side in ("lower", "higher"))
    return (low + high) / 2


def draw(runs: list[dict[str, Any]], budget: int, path: Path) -> None:
    """Best so far: a panel for each data set, the median regret of the seeds with its quartiles as a band."""
    labels = list(dict.fromkeys(found["data"] for found in runs))
    figure, panels = plt.subplots(1, len(labels), figsize=(5.5 * len(labels), 4.2), squeeze=False)
    for axes, label in zip(panels[0], labels, strict=True):
        for number, (strategy, here) in enumerate(_grouped(runs, label).items()):
            lines = np.array([curve(found, budget, 1) for found in here])
            first, median, third = np.quantile(lines, QUARTILES, axis=0)
            queries = np.arange(1, budget + 1)
            axes.fill_between(queries, first, third, color=f"C{number}", alpha=0.2, linewidth=0, step="post")
            axes.step(queries, median, color=f"C{number}", label=strategy, where="post")
        axes.set(title=label, xlabel="queries", ylabel="regret of the best so far")
        axes.set_yscale("symlog", linthresh=0.1)
        axes.set_ylim(bottom=0)
    panels[0, 0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main() -> None:
    """Run what is missing, write each run as it comes, and print the table."""
    args = _arguments()
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers, whose libraries read it when they load
    data = _data(args)
    numbers = {"budget": args.budget, "init": args.init, "batch": args.batch}
    settings = {**numbers, "data": {one.label: _identity(one) for one in data}}
    runs = _taken_in([*args.merge, *([args.out] if args.out.exists() else [])], settings)
    done = {(found["data"], found["strategy"], found["seed"]) for found in runs}
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    jobs = [(one, strategy, seed, numbers) for seed in seeds for one in data for strategy in args.strategies]
    missing = [job for job in jobs if (job[0].label, job[1], job[2]) not in done]
    _save(args.out, settings, runs)
    for found in run_each(measure, missing, args.processes):
        runs.append(found)
        _save(args.out, settings, runs)
    checkpoints = [point for point in CHECKPOINTS if point <= args.budget]
    columns = [f"{name}@{point}" for name in ("regret", "rank") for point in checkpoints]
    near = f"within {NEAR}@{min(BY, args.budget)}"
    header = ["data", "strategy", "seeds", "queries to optimum", "reached", near, *columns, "test", "s/query"]
    groups = [(label, name, here) for label in settings["data"] for name, here in _grouped(runs, label).items()]
    print_table(header, [[label, name, *summary(here, args.budget)] for label, name, here in groups])
    if args.plot:
        draw(runs, args.budget, args.plot)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strategies", nargs="*", default=strategy_names(), choices=strategy_names(), metavar="NAME")
    parser.add_argument("--space", default="nasbench201")
    parser.add_argument("--datasets", nargs="*", help="embedded tables; all of the space by default")
    parser.add_argument("--table", help="a file instead of the embedded tables")
    parser.add_argument("--metric", nargs="+", help="its columns, each a data set")
    parser.add_argument("--test-metric", nargs="+", help="a column for each of them that scores what was found")
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument("--init", type=int, default=10)
    parser.add_argument("--batch", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--merge", type=Path, nargs="+", default=[], help="results whose runs are taken in")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    if bool(args.table) != bool(args.metric) or (args.test_metric and not args.table):
        parser.error("--table, --metric and --test-metric go together")
    if args.test_metric and len(args.test_metric) != len(args.metric):
        parser.error("--test-metric needs one column for each --metric")
    return args


def _data(args: argparse.Namespace) -> list[Data]:
    if args.table:
        tests = args.test_metric or [None] * len(args.metric)
        return [Data(m, args.space, args.table, m, test) for m, test in zip(args.metric, tests, strict=True)]
    names = args.datasets or ([] if args.merge else table_names(args.space))
    return [Data(name, args.space, name, load_table(args.space, name).metrics[0].name, None) for name in names]


def _identity(data: Data) -> dict[str, Any]:
    return {"metric": data.metric, "test": data.test, "digest": truth(data).evaluator.digest}


def _taken_in(files: list[Path], settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Runs of other files, each once; what their data sets are is added to the settings."""
    runs: dict[tuple[str, str, int], dict[str, Any]] = {}
    for file in files:
        content = json.loads(file.read_text())
        theirs = content["settings"]
        common = settings["data"].keys() & theirs["data"].keys()
        same = all(settings["data"][label] == theirs["data"][label] for label in common)
        if not same or any(settings[name] != theirs[name] for name in ("budget", "init", "batch")):
            sys.exit(f"{file}: settings {theirs} are not {settings}: not merged")
        settings["data"] = theirs["data"] | settings["data"]
        runs |= {(found["data"], found["strategy"], found["seed"]): found for found in content["runs"]}
    return list(runs.values())


def _save(path: Path, settings: dict[str, Any], runs: list[dict[str, Any]]) -> None:
    """Replace the file in one step; a run is a line."""
    head = {"command": " ".join(["python", *sys.argv]), "environment": environment(), "settings": settings}
    lines = ",\n".join(json.dumps(found) for found in runs)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(f'{json.dumps(head, indent=1)[:-2]},\n "runs": [\n{lines}\n]}}\n')
    partial.replace(path)


def _grouped(runs: list[dict[str, Any]], label: str) -> dict[str, list[dict[str, Any]]]:
    """A data set's runs by strategy."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for found in runs:
        if found["data"] == label:
            groups.setdefault(found["strategy"], []).append(found)
    return groups


def _number(value: float, budget: int) -> str:
    return f"{value:g}" if np.isfinite(value) else f">{budget}"


def _spread(values: Float[np.ndarray, "runs"], digits: int) -> str:
    """Mean and its standard error."""
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():.{digits}f} ± {error:.{digits}f}"


if __name__ == "__main__":
    main()
