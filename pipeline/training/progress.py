"""What a run says while it works: a live display on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
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

from pipeline.reporter import Reporter


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.1f}/s" if task.speed else "")


class TerminalReporter:
    """A bar for every phase, with losses, rate and time left."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: tuple[str, TaskID] | None = None

    def say(self, line: str) -> None:
        """Print above the bars."""
        self._progress.console.print(line, highlight=False)

    def phase(self, name: str, done: int, total: int, losses: dict[str, float]) -> None:
        """Move the phase's bar."""
        if self._task is None or self._task[0] != name:
            self._task = (name, self._progress.add_task(name, total=total, losses=""))
        self._progress.update(
            self._task[1], completed=done, losses=format_losses(losses), refresh=done == total
        )


class LineReporter:
    """A line when a phase begins, every few seconds while it goes on, and when it ends.

    Args:
        write: Takes a line: a logger's `info`, `print`.
        every: Seconds between two lines of a phase.
    """

    def __init__(self, write: Callable[[str], None], every: float = 5.0) -> None:
        self._write, self._every = write, every
        self._name, self._started, self._first, self._last = "", 0.0, 0, 0.0

    def say(self, line: str) -> None:
        """Write the line."""
        self._write(line)

    def phase(self, name: str, done: int, total: int, losses: dict[str, float]) -> None:
        """Write a line if it is time for one."""
        now = time.monotonic()
        if name != self._name:
            self._name, self._started, self._first, self._last = name, now, done, 0.0
        if done < total and now - self._last < self._every:
            return
        self._last = now
        rate = (done - self._first) / max(now - self._started, 1e-9)
        left = f", {rate:.1f}/s, {(total - done) / rate:.0f} s left" if rate > 0 else ""
        self._write(f"{name} {done}/{total}{left}  {format_losses(losses)}".rstrip())


@contextmanager
def reporter() -> Iterator[Reporter]:
    """The reporter that suits this process: bars on a terminal, lines on standard error else."""
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
        # What does not fit is cut here, and nowhere else.
        TextColumn(
            "[dim]{task.fields[losses]}",
            table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
        ),
    )
    with Progress(*columns, console=console, refresh_per_second=4, expand=True) as progress:
        yield TerminalReporter(progress)


def format_losses(losses: dict[str, float]) -> str:
    """Losses on one line."""
    return "  ".join(f"{name} {value:.3g}" for name, value in losses.items())
