"""Errors that the user can fix."""

from base.one_line import one_line


class InputError(Exception):
    """An error in the user's input: one line that names the cause and the fix, no traceback.

    The message may quote names from files that other people wrote, so it is always reduced to one
    printable line.
    """

    def __init__(self, message: str):
        """Store the message as one printable line."""
        super().__init__(one_line(message))


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or its type name if the message is empty."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
