"""What a word that nobody knows was meant to be."""

import difflib
from collections.abc import Iterable

LISTED = 12
"""Names that still fit on a line."""


def instead_of(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown name.

    Args:
        word: As it was given.
        known: Names that would have been right.

    Returns:
        "; did you mean 'NAME'?" when one resembles the word, whatever its case; else
        "; choose one of ...", the first of them when there are many.
    """
    by_lower_case = {name.lower(): name for name in known}
    nearest = difflib.get_close_matches(word.lower(), by_lower_case, n=1)
    if nearest:
        return f"; did you mean {by_lower_case[nearest[0]]!r}?"
    names = list(by_lower_case.values())
    more = f", ... ({len(names)} in all)" if len(names) > LISTED else ""
    return f"; choose one of {', '.join(names[:LISTED])}{more}" if names else ""
