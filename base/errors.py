"""What goes wrong for a reason the user can mend."""

from base.one_line import one_line


class InputError(Exception):
    """One line that names the thing at fault and the remedy; no traceback is shown for it.

    Names out of files that others wrote are part of many messages, so that it is made one line.
    """

    def __init__(self, message: str):
        """Keep the message as one printable line."""
        super().__init__(one_line(message))


def first_line(error: Exception) -> str:
    """What an error of someone else's code says, or what it is called when it says nothing."""
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
