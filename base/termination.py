"""End a program on SIGTERM as on Ctrl-C: with its clean-up, and together with its children."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class Terminated(BaseException):
    """The process received SIGTERM."""


@contextmanager
def raised_on_sigterm() -> Iterator[None]:
    """Raise `Terminated` in the main thread if the process receives SIGTERM within the block.

    All descendants of the process receive SIGTERM too, as they all receive SIGINT from a terminal.
    A second SIGTERM ends the process at once.
    """

    def end(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        for process in descendants(os.getpid()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, number)
        raise Terminated

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def descendants(process: int) -> list[int]:
    """Return the ids of a process's children, their children, and so on.

    The list is empty on systems without Linux's /proc.
    """
    found: list[int] = []
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, thread.read_text().split()):
                found += [child, *descendants(child)]
    return found
