"""Measure what bfloat16 and channels_last save in the training loop: both settings in turns.

python -m benchmarks.speed.training_speed

Networks have initial weights, which do not change the time of a step. The same recipe, seed and
networks are used with float32 in torch's usual layout, and with what the pipeline chooses on this
machine. Nothing else should run on the machine.
"""

import copy
import json
import statistics
import time
from dataclasses import dataclass, replace
from typing import Annotated

import torch
import typer
from torch import nn

from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from benchmarks.result_pages import RESULTS, markdown_table
from dfkd.images import ImageSpec
from dfkd.models import build
from dfkd.models.precision import fast_layout, gains_from_bfloat16, set_fast_layout
from dfkd.recipe import Recipe
from dfkd.recipes.house import HOUSE
from dfkd.recipes.house_quantize import HOUSE_QUANTIZE
from dfkd.training.loop import Loop, Plan, Round, build_generator
from pipeline.quantization.fake_quantizers import prepare
from pipeline.quantization.scheme import Scheme
from targets.catalogue.instruction_sets import this_cpu


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
            *(row["training"], row["precision"]),
            *(f"{statistics.median(row[setting]):.1f}" for setting in ("float32", "chosen")),
            f"{statistics.median(row['float32']) / statistics.median(row['chosen']):.2f}",
        ]
        for row in rows
    ]
    return (
        "# Training in the chosen precision\n\n"
        "Seconds for 1,000 student steps, with the generator's steps between them: float32 in "
        "torch's usual memory layout against what the pipeline chooses on this machine. The two "
        "settings run in turns with the same recipe, networks and seed; medians. A fake-quantized "
        "student computes in float32 in both.\n\n"
        + markdown_table(["training", "chosen", "float32, s", "chosen, s", "ratio"], body)
        + f"\n\nCommand: `{rows[0]['command']}`. Machine: {rows[0]['machine']}.\n"
    )


def measure(case: Case, repeats: int) -> Row:
    """Return the row of a training."""
    times: dict[str, list[float]] = {"float32": [], "chosen": []}
    for _ in range(repeats):
        times["float32"].append(_seconds(case, fast=False))
        times["chosen"].append(_seconds(case, fast=True))
    chosen = _precision(build(case.teacher, _spec(case), 10), _spec(case))
    return {
        "training": case.name,
        "precision": str(chosen).removeprefix("torch."),
        **{name: [round(value, 2) for value in values] for name, values in times.items()},
        "machine": describe_machine(),
        "command": "python -m benchmarks.speed.training_speed",
    }


def _precision(network: nn.Module, spec: ImageSpec) -> torch.dtype:
    """Return the data type that `precision: auto` gives a float network on this CPU."""
    gains = this_cpu().bfloat16 and gains_from_bfloat16(network, torch.zeros(1, *spec.shape))
    return torch.bfloat16 if gains else torch.float32


def _spec(case: Case) -> ImageSpec:
    channels = case.channels
    return ImageSpec((channels, 32, 32), (0.5,) * channels, (0.25,) * channels)


def _seconds(case: Case, fast: bool) -> float:
    """Return the time of 1,000 student steps."""
    spec = _spec(case)
    torch.manual_seed(0)
    teacher = build(case.teacher, spec, 10).eval().requires_grad_(False)
    student = _student(case, teacher, spec)
    generator = build_generator(case.recipe, spec, 10)
    assert generator is not None
    precision = _precision(teacher, spec) if fast else torch.float32
    of_student = _precision(student, spec) if fast and case.student else torch.float32
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
        ends.append(time.perf_counter())

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
