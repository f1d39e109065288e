"""Train a network on CIFAR-10: SGD, one-cycle schedule, crops and flips.

python -m benchmarks.cifar10_training DATA --out benchmarks/teachers/cifar10-resnet20

In bfloat16 and channels_last, which is about twice as fast on processors with AMX.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.data import HELD_OUT_IMAGES, accuracy_percent, load_data_set
from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from dfkd.images import ImageSpec
from dfkd.models import build

SPEC = ImageSpec((3, 32, 32), (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616))

CLASSES, BATCH, RATE, SEED = 10, 128, 0.1, 0

PADDING = 4
"""Pixels that an image is moved by at most."""


def trained_weights(
    factory: Callable[[int], nn.Module], folder: Path, data: Path, spec: ImageSpec, epochs: int
) -> Path:
    """Return the file with the weights of a network; train it on all images if it is missing.

    Args:
        factory: Takes the number of classes and returns the network.
        folder: For teacher.safetensors and scores.json.
        data: Folder with the real data sets.
        spec: The normalization.
        epochs: Passes over the images.
    """
    file = folder / "teacher.safetensors"
    if not file.exists():
        torch.manual_seed(SEED)
        network = factory(CLASSES)
        scores = train(network, data, spec, epochs, held_out=0)
        save(network, {**scores, "command": "python -m benchmarks.cifar10_int8"}, folder)
    return file


def train(network: nn.Module, data: Path, spec: ImageSpec, epochs: int, held_out: int) -> Row:
    """Train a network in place and return its scores.

    Args:
        network: Left in eval mode.
        data: Folder with the real data sets.
        spec: The normalization.
        epochs: Passes over the images.
        held_out: Number of training images, from the end, that the network does not see.
    """
    started = time.monotonic()
    layout = torch.channels_last
    network.to(memory_format=layout).train()  # type: ignore[call-overload]
    images, labels = load_data_set("cifar10", data, train=True, spec=spec)
    seen = len(images) - held_out
    optimizer = torch.optim.SGD(
        network.parameters(), RATE, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    steps = epochs * (seen // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(epochs):
        order = torch.randperm(seen)
        for index in order[: seen // BATCH * BATCH].view(-1, BATCH):
            batch = _moved(images[index]).contiguous(memory_format=layout)
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(batch)
            loss = F.cross_entropy(logits.float(), labels[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()
    seconds = time.monotonic() - started
    test = accuracy_percent(network, *load_data_set("cifar10", data, train=False, spec=spec))
    scores: Row = {"data": "cifar10", "test_accuracy": round(test, 2)}
    if held_out:
        on_held_out = accuracy_percent(network, images[seen:], labels[seen:])
        scores |= {"held_out_accuracy": round(on_held_out, 2), "held_out_images": held_out}
    return {
        **scores,
        "epochs": epochs,
        "batch": BATCH,
        "seed": SEED,
        "seconds": round(seconds),
        "machine": describe_machine(),
    }


def save(network: nn.Module, scores: Row, folder: Path) -> None:
    """Write teacher.safetensors and scores.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, folder / "teacher.safetensors")


def _moved(images: Tensor) -> Tensor:
    """Return a batch, moved by a few pixels and half of the time mirrored."""
    size = images.shape[-1]
    top, left = torch.randint(2 * PADDING + 1, (2,)).tolist()
    moved = F.pad(images, (PADDING,) * 4)[..., top : top + size, left : left + size]
    return moved.flip(3) if torch.rand(()) < 0.5 else moved


def main(
    data: Annotated[Path, typer.Argument(help="Folder with the real data sets.")],
    out: Annotated[Path, typer.Option(help="Folder for teacher.safetensors and scores.json.")],
    architecture: Annotated[str, typer.Option(help="Name of a built-in architecture.")] = (
        "resnet20"
    ),
    epochs: int = 30,
) -> None:
    """Train a teacher that does not see the last 5,000 training images."""
    torch.manual_seed(SEED)
    network = build(architecture, SPEC, CLASSES)
    scores = train(network, data, SPEC, epochs, HELD_OUT_IMAGES)
    command = (
        f"python -m benchmarks.cifar10_training DATA --out {out.name} "
        f"--architecture {architecture} --epochs {epochs}"
    )
    scores = {**scores, "architecture": architecture, "command": command}
    save(network, scores, out)
    print(json.dumps(scores))


if __name__ == "__main__":
    typer.run(main)
