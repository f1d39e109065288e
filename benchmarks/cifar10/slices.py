"""Long work in slices: how long a process may go on, lines of progress, files that are whole."""

import math
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import BinaryIO

AGAIN = 75
"""Exit code of a slice that is over before the work is (EX_TEMPFAIL): run the command again."""

SAVE_EVERY = 600.0
"""Seconds between two checkpoints within a slice."""

LINE_EVERY = 10.0
"""Seconds between two lines of progress."""


class PausedError(Exception):
    """The slice is over; the work is not, and can be saved as it stands."""


class Slice:
    """How long this process may go on; as a context it also stops at SIGINT and SIGTERM.

    Args:
        seconds: From now.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self._end = time.monotonic() + seconds
        self._save_at = time.monotonic() + SAVE_EVERY
        self._signal: int | None = None
        self._handlers = {number: signal.getsignal(number) for number in _STOPS}

    def __enter__(self) -> "Slice":
        for number in _STOPS:
            signal.signal(number, self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._give_back()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        # Whoever asks a second time does not want to wait for the round and the checkpoint.
        self._give_back()
        self._signal = number

    def _give_back(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def exit_code(self) -> int:
        """What the process leaves with when it pauses: as a shell does after a signal, or 75."""
        return AGAIN if self._signal is None else 128 + self._signal

    def over(self) -> bool:
        """Whether to stop at the next opportunity."""
        return self._signal is not None or time.monotonic() >= self._end

    def tend(self, save: Callable[[], None]) -> None:
        """Call at every opportunity to stop: saves when it is time.

        Raises:
            PausedError: After saving, when the slice is over.
        """
        over = self.over()
        if over or time.monotonic() >= self._save_at:
            save()
            self._save_at = time.monotonic() + SAVE_EVERY
        if over:
            raise PausedError


_STOPS = (signal.SIGINT, signal.SIGTERM)


class Progress:
    """A printed line every ten seconds, with the time that is left."""

    def __init__(self) -> None:
        self._what, self._from = "", 0
        self._since = self._last = 0.0

    def say(self, what: str, done: int, total: int, detail: Callable[[], str]) -> None:
        """Tell that a step is done; prints when it is time and at the end.

        Args:
            what: Is being done; the time left is measured anew when it changes.
            done: Steps so far, this one counted.
            total: Steps in all.
            detail: The rest of the line; asked for only when it is printed.
        """
        now = time.monotonic()
        if what != self._what:
            self._what, self._from = what, done
            self._since = self._last = now
        if now - self._last < LINE_EVERY and done < total:
            return
        self._last = now
        left = (now - self._since) / max(1, done - self._from) * (total - done)
        share = f"{done}/{total} ({100 * done // total} %)"
        print(f"{what} {share}, {left / 60:.1f} min left, {detail()}", flush=True)


def write_whole(path: Path, fill: Callable[[BinaryIO], object]) -> None:
    """Write a file beside its place and rename it once it is on disk.

    Args:
        path: Its place; the folder is made.
        fill: Writes the content.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with beside.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
