"""Try changed settings of a recipe on the 5,000 held-out training images, without test images.

python -m benchmarks.mnist.held_out_search DATA student_steps=40 batch-norm=100 --teacher lenet5-bn
python -m benchmarks.mnist.held_out_search DATA inner_lr=0.01 --recipe lra --teacher lenet5-bn
"""

from pathlib import Path
from typing import Annotated

import torch
import typer

from benchmarks.data import HELD_OUT_IMAGES, load_data_set
from benchmarks.machine import describe_machine
from benchmarks.mnist.common_setting import common
from benchmarks.mnist.jobs import PASSES
from benchmarks.mnist.run import MeasuredRun
from benchmarks.mnist.teachers import CLASSES, TEACHERS
from benchmarks.search_table import add_trial
from dfkd.models import build
from dfkd.recipes import RECIPES
from dfkd.recipes.house import HOUSE
from dfkd.training.budget import for_teacher_passes
from dfkd.training.loop import Loop, build_generator

HEADING = (
    "# Trials on held-out training images of MNIST\n\n"
    "Accuracies are in percent on the last 5,000 training images, which no teacher was trained on. "
    "Only teachers from this repository are used. The student is LeNet-5-half, with batch norm "
    "during training. `changes` are overrides of the recipe as it was at the time of the trial; "
    "changes that are not of the form NAME=VALUE were made in the code and not kept. Each trial "
    "had one thread; `seconds` were measured while other jobs ran.\n\n"
    "Command: `python -m benchmarks.mnist.held_out_search DATA CHANGES --recipe RECIPE --teacher "
    "TEACHER --seed SEED --passes PASSES`."
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
    data: Annotated[Path, typer.Argument(help="Folder with the real data sets.")],
    changes: Annotated[
        list[str] | None, typer.Argument(help="Overrides of the recipe, as NAME=VALUE.")
    ] = None,
    teacher: Annotated[str, typer.Option(help="A teacher of this repository.")] = "lenet5",
    recipe: Annotated[
        str, typer.Option(help="Name of the recipe; published ones run at the common setting.")
    ] = "house",
    seed: Annotated[int, typer.Option(help="Seed of the networks and of the run.")] = 0,
    passes: Annotated[int, typer.Option(help="Largest number of teacher passes.")] = PASSES,
) -> None:
    """Run one trial and add its row to results/held_out_search.json."""
    card = TEACHERS[teacher]
    if card.external:
        raise typer.BadParameter(
            f"{teacher!r} was trained by others, perhaps on the held-out images; "
            "use a teacher of this repository",
            param_hint="--teacher",
        )
    overrides = {name: float(value) for name, value in (c.split("=") for c in changes or [])}
    base = HOUSE if recipe == HOUSE.name else common(RECIPES[recipe], passes)
    tried = base.overridden(overrides)
    held_out = load_data_set(card.data, data, train=True, spec=card.spec, last=HELD_OUT_IMAGES)
    plan = for_teacher_passes(tried, passes)
    torch.manual_seed(seed)
    loop = Loop(
        tried,
        teacher=card.load(Path()),
        generator=build_generator(tried, card.spec, CLASSES),
        student=build(card.student, card.spec, CLASSES),
        spec=card.spec,
        classes=CLASSES,
        plan=plan,
        seed=seed,
        device=torch.device("cpu"),
    )
    measured = MeasuredRun(loop, plan, held_out, digest="", checkpoint=None)
    measured.run()
    scores = torch.tensor(measured.accuracies)
    row = {
        "recipe": recipe,
        "changes": " ".join(changes or []),
        "teacher": teacher,
        "seed": seed,
        "final": round(scores[-1].item(), 2),
        "mu": round(scores.mean().item(), 2),
        "deviation": round(scores.std(unbiased=False).item(), 2),
        "passes": loop.counts.teacher_passes,
        "steps": loop.counts.student_steps,
        "seconds": round(measured.seconds),
        "machine": describe_machine(),
    }
    add_trial("held_out_search", HEADING, COLUMNS, row)


if __name__ == "__main__":
    typer.run(main)
