"""Measure the quantization table: the accuracy lost at 8 and at 4 bits, by choice of method.

python -m benchmarks.quantization --data DATA --teachers TEACHERS
python -m benchmarks.quantization --list

To continue after an interruption, give the same command again.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from base.durable_files import write_durably
from base.suggest import did_you_mean
from benchmarks import result_pages
from benchmarks.job_queue import Row, print_missing, queue_lock, run_job, run_queue
from benchmarks.quantization.correct_images import Correct, read_correct, write_correct
from benchmarks.quantization.jobs import CHOICES, DEFAULTS_FILE, TEACHERS, Job, digest_rules, jobs
from benchmarks.quantization.page import render
from benchmarks.row_digest import add_missing_defaults


def main(
    data: Annotated[Path, typer.Option(help="Folder with the real data sets.")] = Path("data"),
    teachers: Annotated[Path, typer.Option(help="Folder of teachers trained by others.")] = Path(
        "teachers"
    ),
    state: Annotated[Path, typer.Option(help="Folder for unfinished runs.")] = Path("state"),
    workers: Annotated[
        int, typer.Option(help="Number of runs at the same time; they share the cores.")
    ] = 2,
    minutes: Annotated[float, typer.Option(help="Start no run after this time.")] = 1e9,
    choice: Annotated[list[str], typer.Option(help="Run this choice only; can be repeated.")] = [],  # noqa: B006
    list_only: Annotated[
        bool, typer.Option("--list", help="List the runs that are left, without starting one.")
    ] = False,
) -> None:
    """Run the jobs that are left of the table; give the same command again to continue it."""
    for name in choice:
        if name not in CHOICES:
            raise typer.BadParameter(
                f"no row has the choice {name!r}{did_you_mean(name, CHOICES)}",
                param_hint="--choice",
            )
    if list_only:
        print_missing(missing(read_table()[0], choice), len(wanted(choice)))
        return
    state.mkdir(parents=True, exist_ok=True)
    _require_files(data, teachers)
    with queue_lock(result_pages.RESULTS) as lock:
        failed = run_queue(
            lambda: missing(read_table()[0], choice),
            lambda job, cores: run_job(
                "benchmarks.quantization.run", job, data, teachers, state, threads=cores, lock=lock
            ),
            lambda job, row: _store_row(job, row, state),
            workers=workers,
            minutes=minutes,
        )
        write_table(*read_table())
    if failed:
        raise typer.Exit(1)


def _require_files(data: Path, teachers: Path) -> None:
    """Report a missing file before the first run, because every run needs it."""
    weights = {job.config(teachers).teacher.weights for job in jobs()}
    for option, needed in (
        ("--data", data / "cifar10"),
        *(("--teachers", Path(path)) for path in weights),
    ):
        if not needed.exists():
            raise typer.BadParameter(f"{needed} is missing", param_hint=option)


def wanted(choices: Collection[str] = ()) -> list[Job]:
    """Return the jobs of the table in order; if choices are named, only their jobs."""
    return [job for job in jobs() if not choices or job.choice in choices]


def missing(rows: dict[str, Row], choices: Collection[str] = ()) -> list[Job]:
    """Return the wanted jobs without a valid row, in order."""
    digests = {key: row["digest"] for key, row in rows.items()}
    return [job for job in wanted(choices) if digests.get(job.key) != job.digest()]


def _store_row(job: Job, row: Row, state: Path) -> str:
    rows, correct = read_table()
    new = read_correct(state / f"{job.key}.npz")
    write_table({**rows, job.key: row}, {**correct, **new})
    (state / f"{job.key}.json").unlink()
    return f"{job.key}: {row['quantized']:.2f} ({row['fp32']:.2f} in float)"


def read_table() -> tuple[dict[str, Row], dict[str, Correct]]:
    """Return the measured rows and the correctly classified images, by key."""
    path = result_pages.RESULTS / "quantization.json"
    if not path.exists():
        return {}, {}
    rows = {key_of(row): row for row in json.loads(path.read_text())}
    return rows, read_correct(path.with_suffix(".npz"))


def write_table(rows: dict[str, Row], correct: dict[str, Correct]) -> None:
    """Write the result files of the table, and add new defaults to defaults.json."""
    add_missing_defaults(DEFAULTS_FILE, digest_rules())
    path = result_pages.RESULTS / "quantization.json"
    path.parent.mkdir(exist_ok=True)
    ordered = [rows[key] for key in sorted(rows)]
    used = {key: images for key, images in correct.items() if key in rows or key in TEACHERS}
    write_correct(path.with_suffix(".npz"), used)
    write_durably(path, json.dumps(ordered, indent=1) + "\n")
    write_durably(path.with_suffix(".md"), render(ordered, used))


def key_of(row: Row) -> str:
    """Return the key of the row's job."""
    bits = row["weight_bits"], row["activation_bits"]
    return Job(row["teacher"], row["choice"], *bits, row["seed"]).key


if __name__ == "__main__":
    typer.run(main)
