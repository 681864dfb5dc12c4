#!/bin/sh
# All that only a CUDA machine can tell: the same results there as on the CPU, what a step costs, and short runs of every
# method with its CIFAR-10 preset. Under ten minutes; writes docs/results/gpu.json, or the file named first.
#
#     benchmarks/gpu.sh [OUT.json [CIFAR]]      CIFAR: cifar-10-batches-py or an .npz; random images without it
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
[ -x "$python" ] || python=python3
if ! "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    echo "no CUDA device here, so there is nothing to measure: run this where torch.cuda.is_available()"
    exit 0
fi
exec "$python" benchmarks/gpu.py --out "${1:-docs/results/gpu.json}" ${2:+--dataset "$2"}
