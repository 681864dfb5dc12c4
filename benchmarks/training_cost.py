"""What does learning the latent space of NAS-Bench-201 cost, beside the published recipe on the same machine?

Runs `crlso train` on each data set as a process of its own and takes its wall-clock time and peak memory, imports and
all. The published recipe (methods of CR-LSO: three rounds of messages over both directions of all edges of 15,625
graphs, hidden 256, batches of 256 collated at every step, 200 epochs, then a convex head) is written here from its
description, run for some steps and multiplied up; its predictor's training is left out, which favours it.

    python benchmarks/training_cost.py --out docs/results/training_cost.json
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from report import print_table, save
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import MessagePassing

from crlso.spaces import get_space
from crlso.spaces.nasbench201 import EDGES

EPOCHS, BATCH, HIDDEN, LATENT = 200, 256, 256, 16


class NodeConv(MessagePassing):
    """One round: a linear part of the node plus activated messages from node pairs and edge types."""

    def __init__(self, inputs: int, outputs: int, edge_types: int = 5) -> None:
        super().__init__(aggr="sum")
        self.own = nn.Sequential(nn.Linear(inputs, inputs), nn.Linear(inputs, outputs))
        self.pair = nn.Linear(2 * inputs + edge_types, outputs, bias=False)

    def forward(self, x: Tensor, edge_index: Tensor, edge_attr: Tensor) -> Tensor:
        """New features of every node."""
        return self.own(x) + self.propagate(edge_index, x=x, edge_attr=edge_attr)

    def message(self, x_i: Tensor, x_j: Tensor, edge_attr: Tensor) -> Tensor:
        """What node j tells node i."""
        return F.leaky_relu(self.pair(torch.cat([x_i, x_j, edge_attr], dim=1)))


class Published(nn.Module):
    """Encoder, decoder and performance head in the published sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds = nn.ModuleList([NodeConv(4, HIDDEN), NodeConv(HIDDEN, HIDDEN), NodeConv(HIDDEN, HIDDEN)])
        self.posterior = nn.Linear(HIDDEN, 2 * LATENT)
        self.decoder = nn.Sequential(
            nn.Linear(LATENT, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.LeakyReLU(), nn.Linear(HIDDEN, 6 * 13)
        )
        self.head = nn.Sequential(nn.Linear(LATENT, 128), *[nn.LeakyReLU(), nn.Linear(128, 128)] * 4, nn.Linear(128, 1))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits, prediction, mean and log-variance."""
        x = batch.x
        for round_ in self.rounds:
            x = round_(x, batch.edge_index, batch.edge_attr)
        mean, log_variance = self.posterior(x.view(-1, 4, HIDDEN).sum(dim=1)).chunk(2, dim=1)
        z = mean + 0.01 * torch.randn_like(mean) * (log_variance / 2).exp()
        return self.decoder(z).view(-1, 6, 13), self.head(z).squeeze(1), mean, log_variance


def published_seconds(steps: int) -> float:
    """Seconds that all epochs of the published recipe would take."""
    graphs = [_data(codes) for codes in _codes()]
    model = Published()
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, betas=(0.0, 0.5), weight_decay=3e-5)
    began = time.perf_counter()
    for step in range(steps):
        chosen = torch.randperm(len(graphs), generator=torch.Generator().manual_seed(step))[:BATCH]
        batch = Batch.from_data_list([graphs[i] for i in chosen])
        logits, predicted, mean, log_variance = model(batch)
        loss = F.cross_entropy(logits[..., 8:].flatten(0, 1), batch.y) + F.mse_loss(predicted, torch.ones(BATCH))
        loss = loss + F.cross_entropy(logits[..., :4].flatten(0, 1), batch.source)
        loss = loss + F.cross_entropy(logits[..., 4:8].flatten(0, 1), batch.target)
        loss = loss - 0.0025 * (1 + log_variance - mean.square() - log_variance.exp()).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    return (time.perf_counter() - began) / steps * -(-len(graphs) // BATCH) * EPOCHS


def _codes() -> list[list[int]]:
    return [[int(arch.graph.edge_types[i, j]) for i, j in EDGES] for arch in get_space("nasbench201").enumerate()]


def _data(codes: list[int]) -> Data:
    ends = torch.tensor(EDGES).T
    kinds = F.one_hot(torch.tensor(codes), 5).float()
    both = torch.cat([ends, ends.flip(0)], dim=1)
    return Data(torch.eye(4), both, torch.cat([kinds, kinds]), torch.tensor(codes), source=ends[0], target=ends[1])


def train_seconds(dataset: str, folder: Path) -> tuple[float, float]:
    """Seconds and peak memory (MB) of the whole command."""
    command = [sys.executable, "-m", "crlso.train", "--space", "nasbench201", "--dataset", dataset, "--seed", "0"]
    began = time.perf_counter()
    subprocess.run([*command, "--out", str(folder / dataset)], check=True, capture_output=True)
    # The maximum over all children so far; every run here is alike.
    return time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def main() -> None:
    """Measure both and print their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="+", default=["cifar10", "cifar100", "imagenet16"])
    parser.add_argument("--steps", type=int, default=60, help="of the published recipe that are timed")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    published = published_seconds(args.steps)
    runs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for dataset in args.datasets:
            seconds, memory = train_seconds(dataset, Path(folder))
            runs.append({"dataset": dataset, "seconds": seconds, "peak_mb": memory, "ratio": published / seconds})
    if args.out:
        save(args.out, " ".join(["python", *sys.argv]), {"published_seconds": published, "runs": runs})
    header = ("data", "crlso train, s", "peak MB", "published recipe, s", "ratio")
    print_table(header, [(r["dataset"], r["seconds"], r["peak_mb"], published, r["ratio"]) for r in runs])


if __name__ == "__main__":
    main()
