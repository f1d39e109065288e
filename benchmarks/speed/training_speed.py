"""Measure what bfloat16 and channels_last save in the training loop: both settings in turns.

python -m benchmarks.speed.training_speed

Networks have initial weights, which do not change the time of a step. The same recipe, seed and
networks are used with float32 in torch's usual layout, and with bfloat16 in channels_last. The CPU
needs AVX512-BF16 or AMX, and nothing else should run on the machine.
"""

import copy
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import torch
import typer
from nncf.torch.quantization import quantize_functions
from torch import nn

from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from benchmarks.result_pages import RESULTS, markdown_table
from dfkd.images import ImageSpec
from dfkd.models import build
from dfkd.models.precision import fast_layout, set_fast_layout
from dfkd.recipe import Recipe
from dfkd.recipes.house import HOUSE
from dfkd.recipes.house_quantize import HOUSE_QUANTIZE
from dfkd.training.loop import Loop, Plan, Round, build_generator
from pipeline.quantization.fake_quantizers import prepare
from pipeline.quantization.quantizer_kernels import TorchKernels
from pipeline.quantization.scheme import Scheme


@dataclass(frozen=True)
class Case:
    """A training.

    Attributes:
        name: Name of the row.
        recipe: The recipe.
        teacher: Architecture of the teacher.
        student: Architecture of the student; None for the fake-quantized teacher.
        channels: Channels of the 32x32 images.
        rounds: Rounds of one measurement, after one round that is not timed.
    """

    name: str
    recipe: Recipe
    teacher: str
    student: str | None
    channels: int
    rounds: int


CASES = (
    Case("house, LeNet-5 to LeNet-5-half", HOUSE, "lenet5-bn", "lenet5-half-bn", 1, 10),
    Case("house, ResNet-20 to ResNet-8", HOUSE, "resnet20", "resnet8", 3, 3),
    Case("house-quantize, ResNet-20", HOUSE_QUANTIZE, "resnet20", None, 3, 10),
)


def main(repeats: Annotated[int, typer.Option(help="Measurements of each setting.")] = 3) -> None:
    """Measure all rows; write results/training_speed.json and training_speed.md."""
    rows = [measure(case, repeats) for case in CASES]
    (RESULTS / "training_speed.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "training_speed.md").write_text(render(rows))


def render(rows: list[Row]) -> str:
    """Return the page as Markdown."""
    body = [
        [
            row["training"],
            *(f"{statistics.median(row[setting]):.1f}" for setting in ("float32", "bfloat16")),
            f"{statistics.median(row['float32']) / statistics.median(row['bfloat16']):.2f}",
        ]
        for row in rows
    ]
    return (
        "# Training in float32 and bfloat16\n\n"
        "Seconds for 1,000 student steps, with the generator's steps between them: float32 in "
        "torch's usual memory layout against bfloat16 in channels_last. The two settings run in "
        "turns with the same recipe, networks and seed; medians. A fake-quantized student "
        "computes in float32 in both. The pipeline chooses float32 for LeNet-5, because it has "
        "few multiply-adds.\n\n"
        + markdown_table(["training", "float32, s", "bfloat16, s", "ratio"], body)
        + f"\n\nCommand: `{rows[0]['command']}`. Machine: {rows[0]['machine']}.\n"
    )


def measure(case: Case, repeats: int) -> Row:
    """Return the row of a training."""
    times: dict[str, list[float]] = {"float32": [], "bfloat16": []}
    for _ in range(repeats):
        times["float32"].append(training_seconds(case, fast=False))
        times["bfloat16"].append(training_seconds(case, fast=True))
    return {
        "training": case.name,
        **{name: [round(value, 2) for value in values] for name, values in times.items()},
        "machine": describe_machine(),
        "command": "python -m benchmarks.speed.training_speed",
    }


def _spec(case: Case) -> ImageSpec:
    channels = case.channels
    return ImageSpec((channels, 32, 32), (0.5,) * channels, (0.25,) * channels)


def training_seconds(
    case: Case,
    fast: bool,
    kernels: object = TorchKernels,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the time of 1,000 student steps.

    Args:
        case: The training.
        fast: Whether to use bfloat16 in channels_last, except for a fake-quantized student.
        kernels: What a fake-quantized student computes with: `TorchKernels` or NNCF's extension.
        clock: Returns seconds.
    """
    spec = _spec(case)
    torch.manual_seed(0)
    teacher = build(case.teacher, spec, 10).eval().requires_grad_(False)
    student = _student(case, teacher, spec)
    quantize_functions.QuantizedFunctionsCPU = kernels
    generator = build_generator(case.recipe, spec, 10)
    assert generator is not None
    precision = torch.bfloat16 if fast else torch.float32
    of_student = torch.bfloat16 if fast and case.student else torch.float32
    if fast:
        images = torch.zeros(2, *spec.shape)
        set_fast_layout(teacher, precision, images)
        set_fast_layout(student, of_student, images)
        layout = fast_layout(generator, precision)
        generator.to(memory_format=layout)  # type: ignore[call-overload]
    loop = Loop(
        replace(case.recipe, schedule=replace(case.recipe.schedule, warmup_rounds=0)),
        teacher=teacher,
        generator=generator,
        student=student,
        spec=spec,
        classes=10,
        plan=Plan(0, 1 + case.rounds),
        seed=0,
        device=torch.device("cpu"),
        precision=precision,
        student_precision=of_student,
    )
    ends: list[float] = []

    def report(_: Round) -> None:
        ends.append(clock())

    loop.run(report)
    return 1_000 * (ends[-1] - ends[0]) / (case.rounds * case.recipe.schedule.student_steps)


def _student(case: Case, teacher: nn.Module, spec: ImageSpec) -> nn.Module:
    if case.student is not None:
        return build(case.student, spec, 10)
    network = copy.deepcopy(teacher)
    for parameter in network.parameters():
        parameter.requires_grad_()
    return prepare(network, torch.randn(64, *spec.shape), Scheme())


if __name__ == "__main__":
    typer.run(main)
