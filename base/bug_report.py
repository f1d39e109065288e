"""Describe an unexpected error, which is a bug, in one line, and keep its traceback."""

import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from base.errors import first_line

IN_STEP = "in step "
"""The notes of exceptions that begin so are from `step_noted`."""


@contextmanager
def step_noted(name: str) -> Iterator[None]:
    """Note the name of the step in an exception that leaves the block."""
    try:
        yield
    except Exception as error:
        # BaseException.add_note exists from Python 3.11 on.
        error.__notes__ = [*getattr(error, "__notes__", ()), f"{IN_STEP}{name}"]
        raise


def bug_line(error: Exception) -> str:
    """Write the traceback to a new temporary file, and return a line about the error.

    If the file cannot be written, the line contains the traceback.
    """
    notes = getattr(error, "__notes__", ())
    step = next((f" {note}" for note in notes if note.startswith(IN_STEP)), "")
    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="datafree-edge-traceback-", suffix=".txt", delete=False, errors="replace"
        ) as file:
            file.write(text)
        place = file.name
    except OSError:
        place = text
    return (
        f"unexpected {type(error).__name__}{step}: {first_line(error)}; "
        f"this is a bug; report it with its traceback: {place}"
    )
