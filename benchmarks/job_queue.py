"""Run the jobs of a table: several at a time, each in a process with a share of the cores."""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import typer
from rich.console import Console

Row = dict[str, Any]
"""One row of a result table, as it is stored in JSON."""


class Job(Protocol):
    """One run, which fills one row."""

    @property
    def key(self) -> str:
        """Its unique name, which is also a file name."""
        ...

    def digest(self) -> str:
        """Return the digest of everything the row depends on, except the code."""
        ...


class JobFailedError(RuntimeError):
    """A job ended without a row."""


J = TypeVar("J", bound=Job)


@contextmanager
def queue_lock(results: Path) -> Iterator[int]:
    """Let only one queue at a time write to a folder.

    Two queues would overwrite each other's rows and distort each other's times. Jobs inherit the
    lock, so that one that outlives its queue still keeps the next queue out.

    Yields:
        The file descriptor that jobs must inherit.

    Raises:
        typer.BadParameter: If another queue, or a job of it, holds the lock.
    """
    results.mkdir(exist_ok=True)
    descriptor = os.open(results, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise typer.BadParameter(
                f"another queue, or a job that it left running, uses {results}; "
                "wait until it has ended"
            ) from None
        yield descriptor
    finally:
        os.close(descriptor)


def run_job(
    module: str, job: Job, data: Path, teachers: Path, state: Path, *, threads: int, lock: int
) -> Row:
    """Return the row of a job: from STATE/KEY.json if it is up to date, else from a new process.

    Args:
        module: Run with `python -m`; takes the key and writes STATE/KEY.json.
        job: The job.
        data: Folder with the real data sets.
        teachers: Folder with teachers trained by others.
        state: Folder for unfinished runs, logs and rows that are not in the table yet.
        threads: Cores that the process may use.
        lock: The descriptor from `queue_lock`.

    Raises:
        JobFailedError: If the process fails; the message names its log.
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
                pass_fds=[lock],
            )
        if ended.returncode:
            raise JobFailedError(f"exit code {ended.returncode}; see {log}")
    row: Row = json.loads(finished.read_text())
    return row


def print_missing(missing: Sequence[Job], total: int) -> None:
    """Print the key of each job without a valid row, and how many of all jobs have one."""
    for job in missing:
        print(job.key)
    print(f"{total - len(missing)} of {total} done")


def run_queue(
    pending: Callable[[], list[J]],
    run: Callable[[J, int], Row],
    store_row: Callable[[J, Row], str],
    *,
    workers: int,
    minutes: float,
    exclusive: Callable[[J], bool] = lambda _: False,
) -> list[str]:
    """Run the pending jobs in order, and continue after a job that fails.

    Args:
        pending: Returns the jobs without a valid row, in order; called after every job.
        run: Runs a job on this many cores and returns its row.
        store_row: Adds a row to the table; returns the line to print.
        workers: Jobs at a time.
        minutes: No job is started after this time.
        exclusive: Whether a job must run alone, on all cores, because its time is a result.

    Returns:
        Keys of the jobs that failed.
    """
    console, started, finished = Console(), time.monotonic(), 0
    threads = max(1, len(os.sched_getaffinity(0)) // workers)
    running: dict[Future[Row], J] = {}
    failed: list[str] = []
    with ThreadPoolExecutor(workers) as pool:
        while True:
            skipped = {job.key for job in running.values()}.union(failed)
            queue = [job for job in pending() if job.key not in skipped]
            in_time = time.monotonic() - started < 60 * minutes
            while queue and in_time and _may_start(queue[0], running.values(), workers, exclusive):
                job = queue.pop(0)
                cores = threads * workers if exclusive(job) else threads
                running[pool.submit(run, job, cores)] = job
            if not running:
                return failed
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                if error := future.exception():
                    failed.append(job.key)
                    line = f"{job.key} failed: {error}"
                    console.print(line, style="red", markup=False, soft_wrap=True)
                    continue
                line = store_row(job, future.result())
                finished += 1
                left = len(queue) + len(running)
                minutes_left = (time.monotonic() - started) / finished * left / 60
                line += f"; {left} left, about {minutes_left:.0f} min"
                console.print(line, markup=False, soft_wrap=True)


def _may_start(
    job: J, running: Collection[J], workers: int, exclusive: Callable[[J], bool]
) -> bool:
    if exclusive(job) or any(exclusive(other) for other in running):
        return not running
    return len(running) < workers
