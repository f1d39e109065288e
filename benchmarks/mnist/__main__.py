"""Measure the MNIST table: every recipe with the same number of teacher passes.

python -m benchmarks.mnist --data DATA --teachers TEACHERS
python -m benchmarks.mnist --list
python -m benchmarks.mnist --recipe dafl --recipe my-method

To continue after an interruption, give the same command again. The table includes a recipe of your
own once it is in `dfkd.recipes.PUBLISHED`.
"""

import json
from collections.abc import Collection
from pathlib import Path
from statistics import mean
from typing import Annotated

import typer

from base.durable_files import write_durably
from base.suggest import did_you_mean
from benchmarks import result_pages
from benchmarks.job_queue import Row, print_missing, queue_lock, run_job, run_queue
from benchmarks.mnist.jobs import DEFAULTS_FILE, Job, digest_rules, jobs
from benchmarks.mnist.page import NAMES, render
from benchmarks.mnist.teachers import TEACHERS
from benchmarks.row_digest import add_missing_defaults


def read_rows() -> list[Row]:
    """Return the measured rows."""
    path = result_pages.RESULTS / "mnist.json"
    rows: list[Row] = json.loads(path.read_text()) if path.exists() else []
    return rows


def write_rows(rows: list[Row]) -> None:
    """Write mnist.json and mnist.md, and add new defaults to defaults.json."""
    add_missing_defaults(DEFAULTS_FILE, digest_rules())
    result_pages.RESULTS.mkdir(exist_ok=True)
    ordered = sorted(rows, key=lambda row: row["key"])
    write_durably(result_pages.RESULTS / "mnist.json", json.dumps(ordered, indent=1) + "\n")
    page = render(ordered, choose_settings(ordered))
    write_durably(result_pages.RESULTS / "mnist.md", page)


def choose_settings(rows: list[Row]) -> dict[str, str]:
    """Return the better setting of each recipe that was measured at both settings.

    Settings are compared with the teacher lenet5-bn on held-out training images, by the mean over
    the seeds that were run at both settings. Test images do not influence the choice.
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


def wanted(rows: list[Row], recipes: Collection[str] = ()) -> list[Job]:
    """Return the jobs of the table in order; if recipes are named, only their jobs."""
    return [job for job in jobs(choose_settings(rows)) if not recipes or job.recipe in recipes]


def missing(rows: list[Row], recipes: Collection[str] = ()) -> list[Job]:
    """Return the wanted jobs without a valid row, in order."""
    digests = {row["key"]: row["digest"] for row in rows}
    return [job for job in wanted(rows, recipes) if digests.get(job.key) != job.digest()]


def pending(rows: list[Row], teachers: Path, recipes: Collection[str] = ()) -> list[Job]:
    """Return the missing jobs whose teacher is available.

    Args:
        rows: The measured rows.
        teachers: Folder of teachers trained by others.
        recipes: Names of the recipes to run; all if empty.
    """
    available = teachers.exists()
    return [
        job for job in missing(rows, recipes) if available or not TEACHERS[job.teacher].external
    ]


def is_timed(job: Job) -> bool:
    """Return whether the duration of a job is one of its results, so that it must run alone."""
    return job.setting == "long"


def main(
    data: Annotated[
        Path, typer.Option(help="Folder with the real data sets; MNIST is downloaded if missing.")
    ] = Path("data"),
    teachers: Annotated[
        Path,
        typer.Option(
            help="Folder of teachers trained by others. Without it, their runs are skipped."
        ),
    ] = Path("teachers"),
    state: Annotated[Path, typer.Option(help="Folder for unfinished runs.")] = Path("state"),
    workers: Annotated[
        int, typer.Option(help="Number of runs at the same time; they share the cores.")
    ] = 2,
    minutes: Annotated[float, typer.Option(help="Start no run after this time.")] = 1e9,
    recipe: Annotated[list[str], typer.Option(help="Run this recipe only; can be repeated.")] = [],  # noqa: B006
    list_only: Annotated[
        bool, typer.Option("--list", help="List the runs that are left, without starting one.")
    ] = False,
) -> None:
    """Run the jobs that are left of the MNIST table; give the same command again to continue it."""
    for name in recipe:
        if name not in NAMES:
            raise typer.BadParameter(
                f"no row has the recipe {name!r}{did_you_mean(name, NAMES)}", param_hint="--recipe"
            )
    if list_only:
        rows = read_rows()
        print_missing(missing(rows, recipe), len(wanted(rows, recipe)))
        return
    state.mkdir(parents=True, exist_ok=True)
    with queue_lock(result_pages.RESULTS) as lock:
        failed = run_queue(
            lambda: pending(read_rows(), teachers, recipe),
            lambda job, cores: run_job(
                "benchmarks.mnist.run", job, data, teachers, state, threads=cores, lock=lock
            ),
            lambda job, row: _store_row(job, row, state),
            workers=workers,
            minutes=minutes,
            exclusive=is_timed,
        )
        write_rows(read_rows())
    if failed:
        raise typer.Exit(1)


def _store_row(job: Job, row: Row, state: Path) -> str:
    write_rows([*(r for r in read_rows() if r["key"] != job.key), row])
    (state / f"{job.key}.json").unlink()
    return f"{job.key}: final {row['final']:.2f}, {row['seconds']:.0f} s"


if __name__ == "__main__":
    typer.run(main)
