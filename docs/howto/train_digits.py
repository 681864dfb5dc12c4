"""A client of a study: asks for cells, trains them on scikit-learn's digits, tells what they reach.

`python train_digits.py http://127.0.0.1:8000 STUDY [CLIENT]`; as many as there are machines, each under its own name.
The key, where the service wants one, is read from CRLSO_KEY. Killed and started again, a client goes on with the cell
that it had.
"""

from __future__ import annotations

import os
import platform
import sys

import torch
from sklearn.datasets import load_digits
from torch import nn

import crlso
from crlso.client import Client

EPOCHS, BATCH, TEST = 3, 64, 360


def accuracy(text: str) -> float:
    """Percent of the test images that a cell's network gets right after a short training."""
    torch.manual_seed(0)
    pixels, labels = load_digits(return_X_y=True)
    images = torch.tensor(pixels / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    targets = torch.tensor(labels)
    network = crlso.build(crlso.get_space("nasbench201").parse(text), num_classes=10, input_shape=(1, 8, 8))
    steps = EPOCHS * -(-(len(images) - TEST) // BATCH)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(images) - TEST).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[rows]), targets[rows]).backward()
            optimizer.step()
            schedule.step()
    network.eval()
    with torch.no_grad():
        right = network(images[-TEST:]).argmax(1) == targets[-TEST:]
    return 100 * right.float().mean().item()


def main() -> None:
    """Work until the study is over."""
    url, name, *client = sys.argv[1:]
    study = Client(url, os.environ.get("CRLSO_KEY")).study(name)
    while trials := study.ask(client[0] if client else platform.node()):
        for trial in trials:
            value = accuracy(trial["architecture"])
            study.tell(trial["number"], value)
            print(f"{trial['number']:>3}  {value:.2f}  {trial['architecture']}", flush=True)
    print("best:", *(f"{trial['values'][0]:.2f} {trial['architecture']}" for trial in study.best()))


if __name__ == "__main__":
    main()
