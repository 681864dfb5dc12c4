"""Do our counts of mobile networks agree with Accel-NASBench's columns `params_m` and `macs_m`, row by row?

The benchmark's multiply-adds come from a counter that also charges four for each number that goes through a batch
normalisation, and n + 1 for each mean over n pixels; both are added here to what `crlso.networks.costs` counts.

    python benchmarks/mobile_costs.py accel_nasbench.csv
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from report import print_table

from crlso.architecture import Architecture
from crlso.networks import costs
from crlso.networks.mobile import HEAD, STEM, layers_of
from crlso.spaces import get_space

SIZE = 224


def surcharge(arch: Architecture) -> int:
    """What the benchmark's counter adds for normalisations and means."""
    size = SIZE // 2
    total = 4 * STEM * size**2
    for layer in layers_of(arch):
        total += 4 * layer.inner * size**2 if layer.expansion > 1 else 0
        size //= layer.stride
        total += 4 * (layer.inner + layer.c_out) * size**2
        total += layer.inner * (size**2 + 1) if layer.excite else 0
    return total + HEAD * (4 * size**2 + size**2 + 1)


def main() -> None:
    """Compare every row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", help="accel_nasbench.csv")
    table = pd.read_csv(parser.parse_args().table)
    archs = [get_space("mobile").parse(text) for text in table["arch"]]
    ours = np.array([(cost.params, cost.flops) for cost in map(costs, archs)])
    params, macs = (np.round(table[name].to_numpy() * 1e6) for name in ("params_m", "macs_m"))
    charged = ours[:, 1] + [surcharge(arch) for arch in archs]
    rows = [
        ("params_m", "params", int(np.sum(ours[:, 0] == params)), len(archs), 1.0),
        ("macs_m", "flops", int(np.sum(ours[:, 1] == macs)), len(archs), float(np.median(macs / ours[:, 1]))),
        ("macs_m", "flops with surcharges", int(np.sum(charged == macs)), len(archs), 1.0),
    ]
    print_table(("column", "ours", "rows equal", "of", "median ratio"), rows)


if __name__ == "__main__":
    main()
