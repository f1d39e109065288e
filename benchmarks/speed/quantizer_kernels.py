"""Compare the fake-quantizers' kernels with those of NNCF's C++ extension, in turns.

python -m benchmarks.speed.quantizer_kernels

Times are CPU seconds of one thread, because these depend less on other programs. The extension
needs a C++ compiler, Python's headers and, once, a minute.
"""

import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any

import torch
import typer
from nncf.torch.quantization.extensions import QuantizedFunctionsCPU

from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from benchmarks.result_pages import RESULTS, markdown_table
from benchmarks.speed.training_speed import CASES, training_seconds
from pipeline.quantization.quantizer_kernels import TorchKernels

COMMAND = "python -m benchmarks.speed.quantizer_kernels"

KERNELS = {"nncf": QuantizedFunctionsCPU, "torch": TorchKernels}

SHAPES = ((128, 16, 32, 32), (128, 32, 16, 16), (128, 64, 8, 8))
"""Activations of ResNet-20 in a fine-tuning step."""

TUNING = replace(CASES[-1], rounds=1)
"""Five student steps and one step of the generator, after as many that are not timed."""


def main(
    repeats: Annotated[int, typer.Option(help="Measurements of each fine-tuning.")] = 5,
) -> None:
    """Measure all rows; write results/quantizer_kernels.json and quantizer_kernels.md."""
    torch.set_num_threads(1)
    rows = [
        *(_row(_name(shape), _milliseconds(shape), 20) for shape in SHAPES),
        *(_row(_tuning_name(fast), _training(fast), repeats) for fast in (False, True)),
    ]
    (RESULTS / "quantizer_kernels.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "quantizer_kernels.md").write_text(render(rows))


def render(rows: list[Row]) -> str:
    """Return the page as Markdown."""
    body = []
    for row in rows:
        nncf, ours = (statistics.median(row[kernels]) for kernels in KERNELS)
        body.append([row["measured"], f"{nncf:.1f}", f"{ours:.1f}", f"{nncf / ours:.2f}"])
    return (
        "# Kernels of the fake-quantizers\n\n"
        "CPU time of one thread with the kernels of NNCF's C++ extension, and with ours, which use "
        "torch's own operators. Both compute the same formulas and run in turns; medians. An "
        "activation has one range, and the time is for its values and gradients. The fine-tuning "
        "is `house-quantize` with ResNet-20; the time includes the generator's steps.\n\n"
        + markdown_table(["measured", "NNCF", "ours", "ratio"], body)
        + f"\n\nCommand: `{COMMAND}`. Machine: {rows[0]['machine']}.\n"
    )


def _row(measured: str, measure: Callable[[Any], float], repeats: int) -> Row:
    times: dict[str, list[float]] = {name: [] for name in KERNELS}
    for _ in range(repeats):
        for name, kernels in KERNELS.items():
            times[name].append(round(measure(kernels), 2))
    return {"measured": measured, **times, "machine": describe_machine(), "command": COMMAND}


def _name(shape: Sequence[int]) -> str:
    return f"activation {'x'.join(map(str, shape))}, ms"


def _milliseconds(shape: Sequence[int]) -> Callable[[Any], float]:
    """Return a function that measures values and gradients of a signed 8-bit fake-quantizer."""
    torch.manual_seed(0)
    values, gradient = torch.randn(shape).relu_(), torch.randn(shape)
    top = torch.tensor([3.0])
    low = top * (-128 / 127)

    def measure(kernels: Any) -> float:
        started = time.process_time()
        kernels.get("Quantize_forward")(values, low, top - low, 256)
        kernels.get("Quantize_backward")(gradient, values, low, top - low, 256, -128, 127, False)
        return 1_000 * (time.process_time() - started)

    return measure


def _tuning_name(fast: bool) -> str:
    precision = "bfloat16" if fast else "float32"
    return f"1,000 steps of fine-tuning, teacher and generator in {precision}, s"


def _training(fast: bool) -> Callable[[Any], float]:
    return lambda kernels: training_seconds(TUNING, fast, kernels, time.process_time)


if __name__ == "__main__":
    typer.run(main)
