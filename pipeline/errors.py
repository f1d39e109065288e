"""What goes wrong for a reason the user can mend."""


class InputError(Exception):
    """One line that names the thing at fault and the remedy; no traceback is shown for it.

    Names out of files that others wrote are part of many messages: line breaks become spaces, and
    what a terminal would act on is shown as its escape.
    """

    def __init__(self, message: str):
        """Keep the message as one printable line."""
        line = " ".join(message.split())
        super().__init__("".join(_shown(character) for character in line))


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
