"""What goes wrong for a reason the user can mend."""


class InputError(Exception):
    """One line that names the thing at fault and the remedy; no traceback is shown for it."""
