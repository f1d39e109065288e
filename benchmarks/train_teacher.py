"""Train the example teacher: LeNet-5 on MNIST, or any registry architecture on a set of data.py.

python -m benchmarks.train_teacher DATA --out examples/mnist_lenet5
"""

import json
import time
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.data import MNIST_INPUT, accuracy, load
from benchmarks.machine import describe
from dfkd.models import build

HELD_OUT = 5_000
"""The last training images, kept away from the teacher so that choices can be made on them."""


def train(model: nn.Module, images: Tensor, labels: Tensor, epochs: int, batch: int) -> None:
    """Adam with a one-cycle learning rate peaking at 3e-3; no augmentation."""
    steps = epochs * (len(images) // batch)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    model.train()
    for _ in track(range(epochs), description="epochs"):
        order = torch.randperm(len(images))
        for index in order[: len(images) // batch * batch].view(-1, batch):
            loss = F.cross_entropy(model(images[index]), labels[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()


def main(
    data: Annotated[Path, typer.Argument(help="Folder with MNIST/raw (fetched when missing).")],
    out: Annotated[Path, typer.Option(help="Folder for teacher.safetensors and scores.json.")],
    architecture: Annotated[str, typer.Option(help="A name in the registry.")] = "lenet5",
    epochs: int = 12,
    batch: int = 128,
    seed: int = 0,
) -> None:
    """Train a teacher and write its weights and its scores."""
    torch.manual_seed(seed)
    started = time.monotonic()
    images, labels = load("mnist", data, train=True, spec=MNIST_INPUT)
    model = build(architecture, MNIST_INPUT, classes=10)
    train(model, images[:-HELD_OUT], labels[:-HELD_OUT], epochs, batch)
    seconds = time.monotonic() - started
    test = accuracy(model, *load("mnist", data, train=False, spec=MNIST_INPUT))
    held_out = accuracy(model, images[-HELD_OUT:], labels[-HELD_OUT:])
    out.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), out / "teacher.safetensors")
    scores = {
        "architecture": architecture,
        "test_accuracy": round(test, 2),
        "held_out_accuracy": round(held_out, 2),
        "epochs": epochs,
        "batch": batch,
        "seed": seed,
        "seconds": round(seconds),
        "machine": describe(),
        "command": f"python -m benchmarks.train_teacher DATA --out {out}",
    }
    (out / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    print(json.dumps(scores))


if __name__ == "__main__":
    typer.run(main)
