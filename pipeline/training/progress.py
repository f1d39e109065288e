"""Progress of a run: bars on a terminal, plain lines elsewhere."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from base.duration import duration
from base.notify import Notify
from pipeline.reporter import Reporter


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(_rate(task.speed) if task.speed else "")


class TerminalReporter:
    """Shows one bar per phase, with losses, rate and time left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: tuple[str, TaskID] | None = None

    def say(self, line: str) -> None:
        """Print a message above the bars."""
        self._progress.console.print(line, highlight=False)

    def phase(self, name: str, done: float, total: int, losses: dict[str, float]) -> None:
        """Update the phase's bar."""
        if self._task is None or self._task[0] != name:
            self._task = (name, self._progress.add_task(name, total=total, losses=""))
        self._progress.update(
            self._task[1],
            completed=done,
            total=total,
            losses=format_losses(losses),
            refresh=done == total,
        )


class LineReporter:
    """Writes a line when a phase starts, every half minute, and when it ends.

    Args:
        write: Receives each line: a logger's `info`, or `print`.
        interval_s: Seconds between two lines of a phase.
    """

    def __init__(self, write: Notify, interval_s: float = 30.0) -> None:
        self._write, self._interval_s = write, interval_s
        self._name, self._started, self._first, self._last = "", 0.0, 0.0, -math.inf

    def say(self, line: str) -> None:
        """Write a message."""
        self._write(line)

    def phase(self, name: str, done: float, total: int, losses: dict[str, float]) -> None:
        """Write a line if one is due."""
        now = time.monotonic()
        if name != self._name:
            self._name, self._started, self._first, self._last = name, now, done, -math.inf
        if done < total and now - self._last < self._interval_s:
            return
        self._last = now
        rate = (done - self._first) / max(now - self._started, 1e-9)
        left = f", {_rate(rate)}, {duration((total - done) / rate)} left" if rate > 0 else ""
        self._write(f"{name} {int(done)}/{total}{left}  {format_losses(losses)}".rstrip())


@contextmanager
def reporter() -> Iterator[Reporter]:
    """Provide bars if standard error is a terminal, else lines on standard error."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield LineReporter(lambda line: console.print(line, highlight=False, soft_wrap=True))
        return
    columns = (
        TextColumn("{task.description:<19}"),
        BarColumn(bar_width=12),
        MofNCompleteColumn(table_column=Column(min_width=9, no_wrap=True)),
        _Rate(table_column=Column(min_width=7, no_wrap=True)),
        TimeElapsedColumn(table_column=Column(min_width=7, no_wrap=True)),
        TimeRemainingColumn(table_column=Column(min_width=7, no_wrap=True)),
        # Only the losses are cut off if the terminal is too narrow.
        TextColumn(
            "[dim]{task.fields[losses]}",
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
    )
    with Progress(*columns, console=console, refresh_per_second=4, expand=True) as progress:
        yield TerminalReporter(progress)


def _rate(per_second: float) -> str:
    """Return rounds per second, or the time of a round if it is long."""
    return f"{per_second:.1f}/s" if per_second >= 0.1 else f"{duration(1 / per_second)} each"


def format_losses(losses: dict[str, float]) -> str:
    """Return losses as one line of text."""
    return "  ".join(f"{name} {value:.3g}" for name, value in losses.items())
