"""A benchmark table whose rows contain times and are therefore measured one at a time."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic

import typer

from base.durable_files import write_durably
from benchmarks import result_pages
from benchmarks.job_queue import J, Row, print_missing, queue_lock, run_job, run_queue


@dataclass(frozen=True)
class Table(Generic[J]):
    """A table of measured rows, stored in results/NAME.json and results/NAME.md.

    Attributes:
        name: Name of the two files.
        jobs: All rows, in order. A row stores the `key` and the `digest` of its job.
        module: Module that measures one row, for `job_queue.run_job`.
        render: Returns the page from the measured rows and the number of missing ones.
        line: Returns the text that is printed for a new row.
    """

    name: str
    jobs: Sequence[J]
    module: str
    render: Callable[[Sequence[Row], int], str]
    line: Callable[[Row], str]

    def rows(self) -> dict[str, Row]:
        """Return the measured rows by key."""
        path = result_pages.RESULTS / f"{self.name}.json"
        found = json.loads(path.read_text()) if path.exists() else []
        return {row["key"]: row for row in found}

    def missing(self) -> list[J]:
        """Return the jobs without a valid row."""
        rows = self.rows()
        return [job for job in self.jobs if rows.get(job.key, {}).get("digest") != job.digest()]

    def measure(
        self, data: Path, teachers: Path, state: Path, minutes: float, only: Sequence[str]
    ) -> list[str]:
        """Measure the missing rows.

        Args:
            data: Folder with the real data sets.
            teachers: Folder with the teachers trained by others.
            state: Folder for unfinished runs.
            minutes: No row is started after this many minutes.
            only: Keys of the rows to measure; empty for all.

        Returns:
            The keys of the rows that failed.
        """
        state.mkdir(parents=True, exist_ok=True)
        with queue_lock(result_pages.RESULTS) as lock:
            return run_queue(
                lambda: [job for job in self.missing() if not only or job.key in only],
                lambda job, cores: run_job(
                    self.module, job, data, teachers, state, threads=cores, lock=lock
                ),
                self._store,
                workers=1,
                minutes=minutes,
            )

    def main(self) -> Callable[..., None]:
        """Return the function of the table's command, for `typer.run`."""

        def measure(
            data: Annotated[Path, typer.Option(help="Folder with the real data sets.")] = Path(
                "data"
            ),
            teachers: Annotated[
                Path, typer.Option(help="Folder with the teachers trained by others.")
            ] = Path("teachers"),
            state: Annotated[Path, typer.Option(help="For unfinished runs.")] = Path("state"),
            minutes: Annotated[float, typer.Option(help="Start no row after this time.")] = 1e9,
            only: Annotated[list[str], typer.Option(help="Measure this row; repeatable.")] = [],  # noqa: B006
            list_only: Annotated[bool, typer.Option("--list", help="List missing rows.")] = False,
        ) -> None:
            """Measure the missing rows, one at a time, so that they do not slow each other down."""
            if list_only:
                print_missing(self.missing(), len(self.jobs))
            elif self.measure(data, teachers, state, minutes, only):
                raise typer.Exit(1)

        return measure

    def _store(self, job: J, row: Row) -> str:
        rows = {**self.rows(), job.key: {**row, "key": job.key}}
        ordered = [rows[known.key] for known in self.jobs if known.key in rows]
        path = result_pages.RESULTS / f"{self.name}.json"
        write_durably(path, json.dumps(ordered, indent=1) + "\n")
        write_durably(path.with_suffix(".md"), self.render(ordered, len(self.missing())))
        return f"{job.key}: {self.line(row)}"


def row_command(jobs: Sequence[J], measure: Callable[[J, Path, Path, Path], Row]) -> None:
    """Run the command that measures one row, for `job_queue.run_job`.

    Args:
        jobs: All rows.
        measure: Takes the job, the folder with the real data sets, that with the teachers trained
            by others, and that for unfinished runs.
    """

    def main(
        key: str,
        data: Annotated[Path, typer.Option()],
        teachers: Annotated[Path, typer.Option()],
        state: Annotated[Path, typer.Option()],
    ) -> None:
        """Measure one row and write STATE/KEY.json."""
        row = measure(next(job for job in jobs if job.key == key), data, teachers, state)
        write_durably(state / f"{key}.json", json.dumps(row) + "\n")

    typer.run(main)
