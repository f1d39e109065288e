"""Time slices of a long run: when to stop, progress lines, and files written atomically."""

import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import BinaryIO

UNFINISHED = 75
"""Exit code (EX_TEMPFAIL) if the slice ended before the run; the same command continues the run."""

CHECKPOINT_INTERVAL_S = 600.0

PROGRESS_INTERVAL_S = 10.0

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class PausedError(Exception):
    """The time slice is over and the unfinished run was saved."""


class TimeSlice:
    """The time for which this process may run.

    Used as a context manager, the slice also ends at SIGINT or SIGTERM. A second signal stops the
    process at once.

    Args:
        seconds: Length of the slice, from now.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self._end = time.monotonic() + seconds
        self._next_save = time.monotonic() + CHECKPOINT_INTERVAL_S
        self._signal: int | None = None
        self._handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}

    def __enter__(self) -> "TimeSlice":
        for number in STOP_SIGNALS:
            signal.signal(number, self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore_handlers()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        # A second signal must not wait for the end of the round and the checkpoint.
        self._restore_handlers()
        self._signal = number

    def _restore_handlers(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def exit_code(self) -> int:
        """Exit code of a paused process: 128 plus the signal, as in a shell, or `UNFINISHED`."""
        return UNFINISHED if self._signal is None else 128 + self._signal

    def is_over(self) -> bool:
        """Return whether to stop at the next checkpoint."""
        return self._signal is not None or time.monotonic() >= self._end

    def checkpoint(self, save: Callable[[], None]) -> None:
        """Save if it is time; call this whenever the run can be interrupted.

        Args:
            save: Writes the checkpoint.

        Raises:
            PausedError: If the slice is over; the state is then saved.
        """
        over = self.is_over()
        if over or time.monotonic() >= self._next_save:
            save()
            self._next_save = time.monotonic() + CHECKPOINT_INTERVAL_S
        if over:
            raise PausedError


class ProgressLines:
    """Prints a line every ten seconds, with the estimated time left."""

    def __init__(self) -> None:
        self._task, self._first = "", 0
        self._started = self._last = 0.0

    def report(self, task: str, done: int, total: int, detail: Callable[[], str]) -> None:
        """Report that a step is done. Prints a line if it is time, and at the last step.

        Args:
            task: Name of the task; a new task restarts the estimate.
            done: Number of finished steps.
            total: Number of all steps.
            detail: Returns the rest of the line; called only when a line is printed.
        """
        now = time.monotonic()
        if task != self._task:
            self._task, self._first = task, done
            self._started = self._last = now
        if now - self._last < PROGRESS_INTERVAL_S and done < total:
            return
        self._last = now
        left = (now - self._started) / max(1, done - self._first) * (total - done)
        share = f"{done}/{total} ({100 * done // total} %)"
        print(f"{task} {share}, {left / 60:.1f} min left, {detail()}", flush=True)


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a temporary file in the folder of `path`, and rename it once it is on disk.

    Args:
        path: The file; its folder is created.
        write: Writes the content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
