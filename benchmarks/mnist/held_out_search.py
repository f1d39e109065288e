"""Try a change to a recipe on the 5,000 held-out training images; no test image is read.

python -m benchmarks.mnist.held_out_search DATA student_steps=40 batch-norm=100 --teacher lenet5-bn
python -m benchmarks.mnist.held_out_search DATA inner_lr=0.01 --recipe lra --teacher lenet5-bn
"""

from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.data import load
from benchmarks.machine import describe
from benchmarks.mnist.common_setting import common
from benchmarks.mnist.jobs import PASSES, TEACHERS
from benchmarks.mnist.run import Course, open_teacher
from benchmarks.search_table import keep
from benchmarks.train_teacher import HELD_OUT
from dfkd.models import build
from dfkd.recipes import RECIPES
from dfkd.recipes.house import HOUSE
from dfkd.training.budget import for_teacher_passes
from dfkd.training.loop import Loop, build_generator

HEADING = (
    "# What was tried, on held-out training images\n\n"
    "Accuracy in percent on the last 5,000 MNIST training images, which no teacher saw; "
    "our own teachers only, LeNet-5-half (batch norm while it learns) as the student. "
    "`changes` are against the recipe as it was then. One thread a run; seconds with other "
    "work beside it. Command: `python -m benchmarks.mnist.held_out_search DATA CHANGES --recipe "
    "RECIPE --teacher TEACHER --seed SEED --passes PASSES`; changes in words were "
    "patches that were not kept."
)

COLUMNS = (
    "recipe",
    "changes",
    "teacher",
    "seed",
    "final",
    "mu",
    "deviation",
    "passes",
    "steps",
    "seconds",
)


def main(
    data: Annotated[Path, typer.Argument(help="Folder with the real sets.")],
    changes: Annotated[list[str] | None, typer.Argument(help="NAME=VALUE, as overrides.")] = None,
    teacher: Annotated[str, typer.Option(help="One of our own.")] = "lenet5",
    recipe: Annotated[str, typer.Option(help="At the common setting unless it is ours.")] = "house",
    seed: int = 0,
    passes: int = PASSES,
) -> None:
    """One run; its row goes into results/held_out_search.json."""
    card = TEACHERS[teacher]
    if card.weights.startswith("TEACHERS/"):
        raise typer.BadParameter("choices are made with our own teachers only")
    overrides = {name: float(value) for name, value in (c.split("=") for c in changes or [])}
    base = HOUSE if recipe == HOUSE.name else common(RECIPES[recipe], passes)
    tried = base.overridden(overrides)
    held_out = load(card.data, data, train=True, spec=card.spec, last=HELD_OUT)
    plan = for_teacher_passes(tried, passes)
    torch.manual_seed(seed)
    loop = Loop(
        tried,
        teacher=open_teacher(card, Path()),
        generator=build_generator(tried, card.spec, 10),
        student=build(card.student, card.spec, 10),
        spec=card.spec,
        classes=10,
        plan=plan,
        seed=seed,
        device=torch.device("cpu"),
    )
    searched = Course(loop, plan, held_out, "", None)
    searched.run()
    scores = torch.tensor(searched.accuracies)
    keep(
        "held_out_search",
        HEADING,
        COLUMNS,
        {
            "recipe": recipe,
            "changes": " ".join(changes or []),
            "teacher": teacher,
            "seed": seed,
            "final": round(scores[-1].item(), 2),
            "mu": round(scores.mean().item(), 2),
            "deviation": round(scores.std(unbiased=False).item(), 2),
            "passes": loop.counts.teacher_passes,
            "steps": loop.counts.student_steps,
            "seconds": round(searched.seconds),
            "machine": describe(),
        },
    )


if __name__ == "__main__":
    typer.run(main)
