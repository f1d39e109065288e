"""Train a teacher on MNIST or Fashion-MNIST.

python -m benchmarks.train_teacher DATA --out examples/mnist_lenet5
python -m benchmarks.train_teacher DATA --out TEACHERS/mixup --style mixup
"""

import json
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated, Literal, get_args

import torch
import torch.nn.functional as F
import typer
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor, nn

from base.suggest import did_you_mean
from benchmarks.data import HELD_OUT_IMAGES, MNIST_INPUT, accuracy_percent, load_data_set
from benchmarks.machine import describe_machine
from dfkd.models import build

Style = Literal["plain", "label-smoothing", "mixup"]

STYLES: tuple[str, ...] = get_args(Style)


def style_loss(model: nn.Module, images: Tensor, labels: Tensor, style: Style) -> Tensor:
    """Return the loss of a batch.

    Label smoothing and mixup are known to make teachers that are hard to distil from.

    Args:
        model: Takes images, returns logits (N, K).
        images: Normalised, (N, C, H, W).
        labels: (N,).
        style: "plain" is the cross-entropy, "label-smoothing" smooths the labels by 0.1, "mixup"
            blends pairs of images and their losses (Zhang et al. 2018, alpha = 1).
    """
    if style == "mixup":
        share = torch.distributions.Beta(1.0, 1.0).sample().item()
        order = torch.randperm(len(images))
        logits = model(share * images + (1 - share) * images[order])
        first, second = F.cross_entropy(logits, labels), F.cross_entropy(logits, labels[order])
        return share * first + (1 - share) * second
    smoothing = 0.1 if style == "label-smoothing" else 0.0
    return F.cross_entropy(model(images), labels, label_smoothing=smoothing)


def train(
    model: nn.Module, images: Tensor, labels: Tensor, epochs: int, batch: int, style: Style
) -> None:
    """Train a model in place, by Adam with a one-cycle learning rate up to 3e-3.

    Args:
        model: Left in eval mode.
        images: Normalised, (N, C, H, W); not augmented.
        labels: (N,).
        epochs: Passes over the images.
        batch: Images per step; an incomplete last batch is dropped.
        style: The loss, see `style_loss`.
    """
    steps = epochs * (len(images) // batch)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    model.train()
    for _ in track(range(epochs), description="epochs"):
        order = torch.randperm(len(images))
        for index in order[: len(images) // batch * batch].view(-1, batch):
            loss = style_loss(model, images[index], labels[index], style)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()


def main(
    data: Annotated[Path, typer.Argument(help="Folder with the data sets; downloaded if missing.")],
    out: Annotated[Path, typer.Option(help="Folder for teacher.safetensors and scores.json.")],
    name: Annotated[str, typer.Option(help="mnist or fashion-mnist.")] = "mnist",
    architecture: Annotated[str, typer.Option(help="Name of a built-in architecture.")] = "lenet5",
    width: Annotated[float, typer.Option(help="Multiplier of the layer widths.")] = 1.0,
    style: Annotated[str, typer.Option(help="plain, label-smoothing or mixup.")] = "plain",
    epochs: int = 12,
    batch: int = 128,
    seed: int = 0,
) -> None:
    """Train a teacher; write its weights and scores."""
    if style not in STYLES:
        raise typer.BadParameter(
            f"unknown style {style!r}{did_you_mean(style, STYLES)}", param_hint="--style"
        )
    torch.manual_seed(seed)
    started = time.monotonic()
    images, labels = load_data_set(name, data, train=True, spec=MNIST_INPUT)
    model = build(architecture, MNIST_INPUT, classes=10, width=width)
    train(model, images[:-HELD_OUT_IMAGES], labels[:-HELD_OUT_IMAGES], epochs, batch, style)  # type: ignore[arg-type]
    seconds = time.monotonic() - started
    test = accuracy_percent(model, *load_data_set(name, data, train=False, spec=MNIST_INPUT))
    held_out = accuracy_percent(model, images[-HELD_OUT_IMAGES:], labels[-HELD_OUT_IMAGES:])
    out.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), out / "teacher.safetensors")
    options = [word for word in sys.argv[2:] if word not in ("--out", str(out))]
    scores = {
        "data": name,
        "architecture": architecture,
        "width": width,
        "style": style,
        "test_accuracy": round(test, 2),
        "held_out_accuracy": round(held_out, 2),
        "epochs": epochs,
        "batch": batch,
        "seed": seed,
        "seconds": round(seconds),
        "machine": describe_machine(),
        "command": shlex.join(
            ["python", "-m", "benchmarks.train_teacher", "DATA", "--out", out.name, *options]
        ),
    }
    (out / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    print(json.dumps(scores))


if __name__ == "__main__":
    typer.run(main)
