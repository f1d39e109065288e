"""The interface through which a step reports its progress."""

from typing import Protocol


class Reporter(Protocol):
    """Receives messages and progress from a step."""

    def say(self, line: str) -> None:
        """Show one message.

        Args:
            line: The message, without a line break.
        """

    def phase(self, name: str, done: int, total: int, losses: dict[str, float]) -> None:
        """Show the progress of a phase. Called after each of its rounds.

        Args:
            name: The phase.
            done: Rounds finished so far.
            total: Rounds in the whole phase.
            losses: The losses of the last round, by name.
        """
