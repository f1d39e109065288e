"""The quantization table: what eight and four bits cost, by each choice. Queued, resumable.

python -m benchmarks.quantization --data DATA --teachers TEACHERS
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from base.durable_files import write_durably
from base.suggest import did_you_mean
from benchmarks.job_queue import Row, run_job, sole_queue, work_off
from benchmarks.quantization.jobs import CHOICES, TEACHERS, Job, jobs
from benchmarks.quantization.marks import Right, read_marks, write_marks
from benchmarks.quantization.table import render

RESULTS = Path(__file__).parents[1] / "results"


def main(
    data: Annotated[Path, typer.Option(help="Folder with the real sets.")] = Path("data"),
    teachers: Annotated[Path, typer.Option(help="Folder of teachers trained by others.")] = Path(
        "teachers"
    ),
    state: Annotated[Path, typer.Option(help="Where unfinished runs wait.")] = Path("state"),
    workers: Annotated[int, typer.Option(help="Runs at a time, each with a share of cores.")] = 2,
    minutes: Annotated[float, typer.Option(help="Start no run after so long.")] = 1e9,
    choice: Annotated[
        list[str], typer.Option(help="Only rows of this choice; may be given again.")
    ] = [],  # noqa: B006
) -> None:
    """Run what is left of the table; interrupted, the same command goes on."""
    for name in choice:
        if name not in CHOICES:
            raise typer.BadParameter(f"no rows of a choice {name!r}{did_you_mean(name, CHOICES)}")
    state.mkdir(parents=True, exist_ok=True)
    _require_files(data, teachers)
    with sole_queue(RESULTS) as held:
        failed = work_off(
            lambda: pending(read_table()[0], choice),
            lambda job, cores: run_job(
                "benchmarks.quantization.run", job, data, teachers, state, threads=cores, held=held
            ),
            lambda job, row: _take_up(job, row, state),
            workers=workers,
            minutes=minutes,
        )
        keep(*read_table())
    if failed:
        raise typer.Exit(1)


def _require_files(data: Path, teachers: Path) -> None:
    """Every run would miss the same file."""
    weights = {job.config(teachers).teacher.weights for job in jobs()}
    for option, needed in (
        ("--data", data / "cifar10"),
        *(("--teachers", Path(w)) for w in weights),
    ):
        if not needed.exists():
            raise typer.BadParameter(f"{needed} is not there", param_hint=option)


def pending(rows: dict[str, Row], choices: Collection[str] = ()) -> list[Job]:
    """The jobs that are left, the most wanted first; only of these choices if any are named."""
    return [
        job
        for job in jobs()
        if (not choices or job.choice in choices)
        and rows.get(job.key, {}).get("digest") != job.digest()
    ]


def _take_up(job: Job, row: Row, state: Path) -> str:
    rows, right = read_table()
    keep({**rows, job.key: row}, {**right, **read_marks(state / f"{job.key}.npz")})
    (state / f"{job.key}.json").unlink()
    return f"{job.key}: {row['quantized']:.2f} ({row['fp32']:.2f} in float)"


def read_table() -> tuple[dict[str, Row], dict[str, Right]]:
    """Rows and marks so far, by key."""
    path = RESULTS / "quantization.json"
    if not path.exists():
        return {}, {}
    rows = {_key(row): row for row in json.loads(path.read_text())}
    return rows, read_marks(RESULTS / "quantization.npz")


def keep(rows: dict[str, Row], marks: dict[str, Right]) -> None:
    """Write rows, their marks and the table."""
    RESULTS.mkdir(exist_ok=True)
    ordered = [rows[key] for key in sorted(rows)]
    kept = {key: right for key, right in marks.items() if key in rows or key in TEACHERS}
    page = render(ordered, kept)
    write_marks(RESULTS / "quantization.npz", kept)
    write_durably(RESULTS / "quantization.json", json.dumps(ordered, indent=1) + "\n")
    write_durably(RESULTS / "quantization.md", page)


def _key(row: Row) -> str:
    bits = row["weight_bits"], row["activation_bits"]
    return Job(row["teacher"], row["choice"], *bits, row["seed"]).key


if __name__ == "__main__":
    typer.run(main)
