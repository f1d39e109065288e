"""What goes wrong for a reason the user can mend."""

from targets.one_line import one_line


class InputError(Exception):
    """One line that names the thing at fault and the remedy; no traceback is shown for it.

    Names out of files that others wrote are part of many messages, so that it is made one line.
    """

    def __init__(self, message: str):
        """Keep the message as one printable line."""
        super().__init__(one_line(message))
