"""The interface through which a step reports its progress."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from base.notify import Advance


class Reporter(Protocol):
    """Receives messages and progress from a step."""

    def say(self, line: str) -> None:
        """Show one message.

        Args:
            line: The message, without a line break.
        """

    def phase(self, name: str, done: float, total: int, losses: dict[str, float]) -> None:
        """Show the progress of a phase. Called at its start, within and after each of its rounds.

        Args:
            name: The phase.
            done: Rounds finished so far; 2.5 in the middle of the third round.
            total: Rounds in the whole phase.
            losses: The losses of the last finished round, by name.
        """


def shown_name(label: str) -> str:
    """Return a step's label as messages show it, which is also the name of the step's phase."""
    return label.replace("_", " ")


@contextmanager
def counting(reporter: Reporter, name: str, total: int) -> Iterator[Advance]:
    """Show the progress of a phase that is counted in images or in other units, not in rounds.

    The phase ends at `total`, even if some of the units were not needed.

    Args:
        reporter: Receives the progress.
        name: The phase.
        total: Units in the whole phase.
    """
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done = min(total, done + count)
        reporter.phase(name, done, total, {})

    advance(0)
    yield advance
    if done < total:
        advance(total - done)
