"""Measure the zoo: networks of torchvision and timm, run with the project's commands.

python -m benchmarks.zoo --data DATA
python -m benchmarks.zoo --list

To continue after an interruption, give the same command again.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from base.durable_files import write_durably
from benchmarks import result_pages
from benchmarks.job_queue import Row, print_missing, queue_lock, run_job, run_queue
from benchmarks.zoo.models import JOBS, Job
from benchmarks.zoo.page import render


def main(
    data: Annotated[Path, typer.Option(help="Folder with the real data sets.")] = Path("data"),
    state: Annotated[Path, typer.Option(help="Folder for unfinished runs.")] = Path("state"),
    minutes: Annotated[float, typer.Option(help="Start no network after this many minutes.")] = 1e9,
    network: Annotated[list[str], typer.Option(help="Measure this one only; repeatable.")] = [],  # noqa: B006
    list_only: Annotated[bool, typer.Option("--list", help="List the remaining networks.")] = False,
) -> None:
    """Measure the remaining networks, one at a time, because latencies are measured."""
    if list_only:
        print_missing(missing(read_rows()), len(JOBS))
        return
    state.mkdir(parents=True, exist_ok=True)
    with queue_lock(result_pages.RESULTS) as lock:
        failed = run_queue(
            lambda: [job for job in missing(read_rows()) if not network or job.key in network],
            lambda job, cores: run_job(
                "benchmarks.zoo.run", job, data, data, state, threads=cores, lock=lock
            ),
            _store_row,
            workers=1,
            minutes=minutes,
        )
    if failed:
        raise typer.Exit(1)


def missing(rows: dict[str, Row]) -> list[Job]:
    """Return the networks without a valid row."""
    digests = {row["architecture"]: row["digest"] for row in rows.values()}
    return [job for job in JOBS if digests.get(job.architecture) != job.digest()]


def read_rows() -> dict[str, Row]:
    """Return the measured rows by architecture."""
    path = result_pages.RESULTS / "zoo.json"
    if not path.exists():
        return {}
    return {row["architecture"]: row for row in json.loads(path.read_text())}


def _store_row(job: Job, row: Row) -> str:
    rows = {**read_rows(), job.architecture: row}
    ordered = [rows[job.architecture] for job in JOBS if job.architecture in rows]
    path = result_pages.RESULTS / "zoo.json"
    write_durably(path, json.dumps(ordered, indent=1) + "\n")
    write_durably(path.with_suffix(".md"), render(ordered, len(missing(rows))))
    return f"{job.key}: {row.get('agreement_percent') or row.get('refused') or row.get('failed')}"


if __name__ == "__main__":
    typer.run(main)
