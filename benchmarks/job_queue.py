"""The runs of a table: several at a time, each in a process with a share of the cores."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import typer
from rich.console import Console

Row = dict[str, Any]


class Job(Protocol):
    """One run."""

    @property
    def key(self) -> str:
        """Tells it from all others; also a file name."""
        ...

    def digest(self) -> str:
        """Of all that its row depends on but the code."""
        ...


class FailedError(RuntimeError):
    """A run ended without a row."""


J = TypeVar("J", bound=Job)


@contextmanager
def sole_queue(results: Path) -> Iterator[int]:
    """For as long, no other queue writes there; nor does one whose runs outlive it.

    Two would lose each other's rows, and each would falsify the other's times.

    Yields:
        What runs inherit to keep others away.

    Raises:
        typer.BadParameter: When there is another.
    """
    results.mkdir(exist_ok=True)
    held = os.open(results, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise typer.BadParameter(
                f"another queue, or a run that it left, is at work on {results}; wait for its end"
            ) from None
        yield held
    finally:
        os.close(held)


def run_job(
    module: str, job: Job, data: Path, teachers: Path, state: Path, *, threads: int, held: int
) -> Row:
    """Run one job in a process of its own, unless its row lies in `state` already.

    Args:
        module: Run with the job's key; leaves the row in STATE/KEY.json.
        job: Which.
        data: Folder with the real sets.
        teachers: Folder of teachers trained by others.
        state: Where unfinished runs wait.
        threads: Cores for it.
        held: As `sole_queue` gives it.

    Raises:
        FailedError: When it fails; names the log.
    """
    finished = state / f"{job.key}.json"
    if not finished.exists() or json.loads(finished.read_text())["digest"] != job.digest():
        command = [sys.executable, "-m", module, job.key]
        command += ["--data", str(data), "--teachers", str(teachers), "--state", str(state)]
        log = state / f"{job.key}.log"
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        with log.open("w") as output:
            ended = subprocess.run(
                command,
                check=False,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                pass_fds=[held],
            )
        if ended.returncode:
            raise FailedError(f"exit code {ended.returncode}; see {log}")
    row: Row = json.loads(finished.read_text())
    return row


def work_off(
    pending: Callable[[], list[J]],
    run: Callable[[J, int], Row],
    keep: Callable[[J, Row], str],
    *,
    workers: int,
    minutes: float,
    alone: Callable[[J], bool] = lambda _: False,
) -> list[str]:
    """Run what is pending, the first ones first.

    Args:
        pending: The jobs that are left.
        run: Does one, with so many cores.
        keep: Takes up a row; returns what to say of it.
        workers: Runs at a time.
        minutes: No run is started after so long.
        alone: Whether a run gets all cores, because its time is what it shows.

    Returns:
        Keys of the jobs that failed; the others were run all the same.
    """
    console, started, finished = Console(), time.monotonic(), 0
    threads = max(1, (os.cpu_count() or 1) // workers)
    running: dict[Future[Row], J] = {}
    failed: list[str] = []
    with ThreadPoolExecutor(workers) as pool:
        while True:
            busy = {job.key for job in running.values()}.union(failed)
            queue = [job for job in pending() if job.key not in busy]
            in_time = time.monotonic() - started < 60 * minutes
            while queue and in_time and _room(queue[0], running.values(), workers, alone):
                job = queue.pop(0)
                cores = threads * workers if alone(job) else threads
                running[pool.submit(run, job, cores)] = job
            if not running:
                return failed
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                if error := future.exception():
                    failed.append(job.key)
                    said = f"{job.key} failed: {error}"
                    console.print(said, style="red", markup=False, soft_wrap=True)
                    continue
                said = keep(job, future.result())
                finished += 1
                waiting = len(queue) + len(running)
                left = (time.monotonic() - started) / finished * waiting / 60
                said += f"; {waiting} left, about {left:.0f} min"
                console.print(said, markup=False, soft_wrap=True)


def _room(job: J, running: Collection[J], workers: int, alone: Callable[[J], bool]) -> bool:
    if alone(job) or any(alone(other) for other in running):
        return not running
    return len(running) < workers
