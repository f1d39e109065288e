"""The type of a function that receives progress messages."""

from collections.abc import Callable

Notify = Callable[[str], None]
"""Called with one line of text at a time: `print`, or a logger's `info`."""
