"""The MNIST table: every recipe under equal teacher passes, queued, resumable.

python -m benchmarks.mnist --data DATA --teachers TEACHERS
python -m benchmarks.mnist --recipe dafl --recipe my-method
"""

import json
from collections.abc import Collection
from pathlib import Path
from statistics import mean
from typing import Annotated

import typer

from base.durable_files import write_durably
from base.suggest import did_you_mean
from benchmarks.job_queue import Row, run_job, sole_queue, work_off
from benchmarks.mnist.jobs import TEACHERS, Job, jobs
from benchmarks.mnist.tables import NAMES, render

RESULTS = Path(__file__).parents[1] / "results"


def rows_so_far() -> list[Row]:
    """What is measured already."""
    path = RESULTS / "mnist.json"
    measured: list[Row] = json.loads(path.read_text()) if path.exists() else []
    return measured


def chosen_settings(rows: list[Row]) -> dict[str, str]:
    """For each recipe that ran at both settings, the one better on the held-out images.

    These are 5,000 training images that no teacher and no student saw; test images decide nothing.
    The teacher is lenet5-bn, the score the mean over the seeds that ran at both settings.
    """
    scores: dict[str, dict[str, dict[int, float]]] = {}
    for row in rows:
        if not row["variant"] and row["teacher"] == "lenet5-bn":
            settings = scores.setdefault(row["recipe"], {"common": {}, "paper": {}})
            settings.setdefault(row["setting"], {})[row["seed"]] = row["held_out"]
    chosen = {}
    for recipe, settings in scores.items():
        common, paper = settings["common"], settings["paper"]
        if shared := common.keys() & paper.keys():
            better = mean(paper[seed] - common[seed] for seed in shared) > 0
            chosen[recipe] = "paper" if better else "common"
    return chosen


def keep(rows: list[Row]) -> None:
    """Write rows and tables."""
    RESULTS.mkdir(exist_ok=True)
    ordered = sorted(rows, key=lambda row: row["key"])
    for name, text in (
        ("mnist.json", json.dumps(ordered, indent=1) + "\n"),
        ("mnist.md", render(ordered, chosen_settings(ordered))),
    ):
        write_durably(RESULTS / name, text)


def pending(rows: list[Row], teachers: Path, recipes: Collection[str] = ()) -> list[Job]:
    """The jobs that are left, the most wanted first; not those whose teacher is not at hand.

    Args:
        rows: Those that are measured.
        teachers: Folder of teachers trained by others.
        recipes: Names of the only ones wanted; every one when there are none.
    """
    done = {row["key"]: row["digest"] for row in rows}
    outside = teachers.exists()
    return [
        job
        for job in jobs(chosen_settings(rows))
        if done.get(job.key) != job.digest()
        and (not recipes or job.recipe in recipes)
        and (outside or not TEACHERS[job.teacher].weights.startswith("TEACHERS/"))
    ]


def alone(job: Job) -> bool:
    """Whether a run gets all cores, because its time is what it shows."""
    return job.setting == "long"


def main(
    data: Annotated[
        Path, typer.Option(help="Folder with the real sets; fetched when missing.")
    ] = Path("data"),
    teachers: Annotated[Path, typer.Option(help="Folder of teachers trained by others.")] = Path(
        "teachers"
    ),
    state: Annotated[Path, typer.Option(help="Where unfinished runs wait.")] = Path("state"),
    workers: Annotated[int, typer.Option(help="Runs at a time, each with a share of cores.")] = 2,
    minutes: Annotated[float, typer.Option(help="Start no run after so long.")] = 1e9,
    recipe: Annotated[
        list[str], typer.Option(help="Only rows of this recipe; may be given again.")
    ] = [],  # noqa: B006
) -> None:
    """Run what is left of the table; interrupted, the same command goes on.

    A recipe of one's own belongs to the table once dfkd/recipes/__init__.py lists it as published.
    """
    for name in recipe:
        if name not in NAMES:
            raise typer.BadParameter(f"no rows of a recipe {name!r}{did_you_mean(name, NAMES)}")
    state.mkdir(parents=True, exist_ok=True)
    with sole_queue(RESULTS) as held:
        failed = work_off(
            lambda: pending(rows_so_far(), teachers, recipe),
            lambda job, cores: run_job(
                "benchmarks.mnist.run", job, data, teachers, state, threads=cores, held=held
            ),
            lambda job, row: _take_up(job, row, state),
            workers=workers,
            minutes=minutes,
            alone=alone,
        )
        keep(rows_so_far())
    if failed:
        raise typer.Exit(1)


def _take_up(job: Job, row: Row, state: Path) -> str:
    keep([*(r for r in rows_so_far() if r["key"] != job.key), row])
    (state / f"{job.key}.json").unlink()
    return f"{job.key}: final {row['final']:.2f}, {row['seconds']:.0f} s"


if __name__ == "__main__":
    typer.run(main)
