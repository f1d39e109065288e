"""Train a network on all CIFAR-10 training images: SGD, one-cycle schedule, crops and flips.

In bfloat16 and channels_last, which is about twice as fast on processors with AMX.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.data import accuracy_percent, load_data_set
from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from dfkd.images import ImageSpec

RAW = ImageSpec((3, 32, 32), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.0, 255.0))
"""CIFAR-10 without normalisation: pixels from 0 to 255."""

CLASSES, EPOCHS, BATCH, RATE, SEED = 10, 15, 128, 0.1, 0

PADDING = 4
"""Pixels that an image is moved by at most."""


def trained_weights(factory: Callable[[int], nn.Module], folder: Path, data: Path) -> Path:
    """Return the file with the weights of a network; train it if it is missing.

    Args:
        factory: Takes the number of classes and returns the network.
        folder: For teacher.safetensors and scores.json.
        data: Folder with the real data sets.
    """
    file = folder / "teacher.safetensors"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        network, scores = _train(factory, data)
        (folder / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, file)
    return file


def _train(factory: Callable[[int], nn.Module], data: Path) -> tuple[nn.Module, Row]:
    torch.manual_seed(SEED)
    started = time.monotonic()
    layout = torch.channels_last
    network = factory(CLASSES).to(memory_format=layout)  # type: ignore[call-overload]
    images, labels = load_data_set("cifar10", data, train=True, spec=RAW)
    optimizer = torch.optim.SGD(
        network.parameters(), RATE, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    network.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(images))
        for index in order[: len(images) // BATCH * BATCH].view(-1, BATCH):
            batch = _moved(images[index]).contiguous(memory_format=layout)
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(batch)
            loss = F.cross_entropy(logits.float(), labels[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval()
    test = accuracy_percent(network, *load_data_set("cifar10", data, train=False, spec=RAW))
    return network, {
        "data": "cifar10",
        "test_accuracy": round(test, 2),
        "epochs": EPOCHS,
        "batch": BATCH,
        "seed": SEED,
        "seconds": round(time.monotonic() - started),
        "machine": describe_machine(),
        "command": "python -m benchmarks.cifar10_int8",
    }


def _moved(images: Tensor) -> Tensor:
    """Return a batch, moved by a few pixels and half of the time mirrored."""
    size = images.shape[-1]
    top, left = torch.randint(2 * PADDING + 1, (2,)).tolist()
    moved = F.pad(images, (PADDING,) * 4)[..., top : top + size, left : left + size]
    return moved.flip(3) if torch.rand(()) < 0.5 else moved
