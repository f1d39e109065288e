"""The types of functions that receive messages and progress."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Notify = Callable[[str], None]
"""Called with one line of text at a time: `print`, or a logger's `info`."""

Advance = Callable[[int], None]
"""Called with the number of images, or of other units, that are done since the last call."""


def ignore(_: int) -> None:
    """Show no progress."""


Counting = Callable[[str, int], AbstractContextManager[Advance]]
"""Shows a phase, by its name and its number of units, while its block runs."""


def not_counted(_: str, __: int) -> AbstractContextManager[Advance]:
    """Show no phase."""
    return nullcontext(ignore)
