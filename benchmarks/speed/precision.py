"""Measure the passes of networks in float32 and bfloat16, in both memory layouts.

python -m benchmarks.speed.precision

Weights do not matter for speed, so the networks have initial weights. Processor time on one thread
is measured, which other work on the machine changes little. The results are the reason for the
rules in dfkd/models/precision.py.
"""

import json
import statistics
import time
from collections.abc import Iterator

import torch
import typer
from torch import Tensor, nn

from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from benchmarks.result_pages import RESULTS, markdown_table
from dfkd.images import ImageSpec
from dfkd.models import build
from dfkd.models.precision import fast_layout, gains_from_bfloat16, reduced
from pipeline.teachers.torchvision_on_cpu import import_torchvision

OWN = {"lenet5-bn": 1, "wrn-16-1": 3, "resnet20": 3, "resnet18": 3}
"""Channels of the 32x32 images, by architecture."""

OF_TORCHVISION = (
    *("resnet18", "resnet50", "regnet_x_400mf", "densenet121", "vgg11_bn", "squeezenet1_1"),
    *("mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "shufflenet_v2_x0_5"),
    *("mnasnet0_5", "regnet_y_400mf", "convnext_tiny", "vit_b_16"),
)
"""Networks for 64x64 images."""

BATCH, REPEATS = 16, 3

SETTINGS = {
    "float32": (torch.float32, torch.contiguous_format),
    "float32, channels_last": (torch.float32, torch.channels_last),
    "bfloat16": (torch.bfloat16, torch.contiguous_format),
    "bfloat16, channels_last": (torch.bfloat16, torch.channels_last),
}


def main() -> None:
    """Measure all rows; write results/precision.json and precision.md."""
    torch.set_num_threads(1)
    rows = [measure(name, network, images) for name, network, images in _networks()]
    (RESULTS / "precision.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "precision.md").write_text(render(rows))


def render(rows: list[Row]) -> str:
    """Return the page as Markdown."""
    body = [
        [row["network"], row["milliseconds"]["float32"]]
        + [f"{row['milliseconds']['float32'] / row['milliseconds'][name]:.2f}" for name in SETTINGS]
        + [row["chosen"]]
        for row in rows
    ]
    return (
        "# Precision and memory layout in training\n\n"
        f"Milliseconds for one image, forward and backward to the image, in batches of {BATCH}; "
        f"the median of {REPEATS} passes in processor time on one thread. The other columns are "
        "the speed relative to float32 in torch's usual layout. `chosen` is what a training uses "
        "on this CPU by default.\n\n"
        + markdown_table(["network", "float32, ms", *SETTINGS, "chosen"], body)
        + f"\n\nCommand: `{rows[0]['command']}`. Machine: {rows[0]['machine']}.\n"
    )


def measure(name: str, network: nn.Module, images: Tensor) -> Row:
    """Return the row of a network in eval mode, for images (N, C, H, W)."""
    network.eval().requires_grad_(False)
    precision = torch.bfloat16 if gains_from_bfloat16(network, images) else torch.float32
    chosen = precision, fast_layout(network, precision)
    milliseconds = {
        setting: round(1e3 * _seconds(network, images, *parts) / len(images), 3)
        for setting, parts in SETTINGS.items()
    }
    return {
        "network": name,
        "milliseconds": milliseconds,
        "chosen": next(setting for setting, parts in SETTINGS.items() if parts == chosen),
        "machine": describe_machine(),
        "command": "python -m benchmarks.speed.precision",
    }


def _seconds(
    network: nn.Module, images: Tensor, precision: torch.dtype, layout: torch.memory_format
) -> float:
    network.to(memory_format=layout)  # type: ignore[call-overload]
    times = []
    for _ in range(1 + REPEATS):
        given = images.clone().requires_grad_()
        started = time.process_time()
        with reduced(images.device, precision):
            logits = network(given)
        logits.float().square().sum().backward()
        times.append(time.process_time() - started)
    return statistics.median(times[1:])


def _networks() -> Iterator[tuple[str, nn.Module, Tensor]]:
    for name, channels in OWN.items():
        spec = ImageSpec((channels, 32, 32), (0.5,) * channels, (0.25,) * channels)
        yield f"{name}, 32", build(name, spec, 10), torch.randn(BATCH, *spec.shape)
    models = import_torchvision().models
    for name in OF_TORCHVISION:
        size = {"image_size": 64} if name.startswith("vit") else {}
        network = models.get_model(name, num_classes=10, **size)
        yield f"{name}, 64", network, torch.randn(BATCH, 3, 64, 64)


if __name__ == "__main__":
    typer.run(main)
