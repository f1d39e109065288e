"""Train a network of the zoo for some minutes, so that its predictions have clear margins."""

import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.data import accuracy_percent, load_data_set
from benchmarks.zoo.models import RECIPE
from dfkd.images import ImageSpec
from dfkd.models.precision import fast_layout, gains_from_bfloat16, reduced
from targets.catalogue.instruction_sets import this_cpu

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)

CIFAR10 = ImageSpec((3, 32, 32), MEAN, STD)

HELD_OUT = 1_000
"""Number of held-out images: the last training images, on which no network is trained."""

STEPS = 100
"""Number of steps between two measurements of the accuracy."""

WARM_UP_STEPS = 200


def train(network: nn.Module, size: int, data: Path) -> dict[str, Any]:
    """Train a network in place with AdamW on CIFAR-10 images enlarged to `size`.

    In bfloat16 if that is faster here.

    Args:
        network: Left in eval mode.
        size: Width and height of its images.
        data: Folder with the real data sets.

    Returns:
        The held-out accuracy in percent, the steps and the minutes.
    """
    torch.manual_seed(RECIPE.seed)
    images, labels = load_data_set("cifar10", data, True, CIFAR10)
    seen, seen_labels = images[:-HELD_OUT], labels[:-HELD_OUT]
    held, held_labels = enlarged(images[-HELD_OUT:], size), labels[-HELD_OUT:]
    fast = this_cpu().bfloat16 and gains_from_bfloat16(network, held)
    precision = torch.bfloat16 if fast else torch.float32
    layout = fast_layout(network, precision)
    network.to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), RECIPE.rate, weight_decay=0.05)
    started, steps, accuracy = time.monotonic(), 0, 0.0
    while accuracy < RECIPE.accuracy and _minutes(started) < RECIPE.minutes:
        network.train()
        for _ in range(STEPS):
            if _minutes(started) >= RECIPE.minutes:
                break
            steps += 1
            for group in optimizer.param_groups:
                group["lr"] = RECIPE.rate * min(1.0, steps / WARM_UP_STEPS)
            chosen = torch.randint(len(seen), (RECIPE.batch,))
            batch = enlarged(seen[chosen], size)
            if torch.rand(()) < 0.5:
                batch = batch.flip(3)
            with reduced(batch.device, precision):
                logits = network(batch)
            loss = F.cross_entropy(logits.float(), seen_labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
        network.eval()
        accuracy = accuracy_percent(network, held, held_labels)
    return {"accuracy": accuracy, "steps": steps, "training_minutes": round(_minutes(started), 1)}


def enlarged(images: Tensor, size: int) -> Tensor:
    """Return images (N, C, H, W) enlarged bilinearly."""
    return F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)


def _minutes(started: float) -> float:
    return (time.monotonic() - started) / 60
