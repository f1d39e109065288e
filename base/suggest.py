"""Suggest a valid name for an unknown one."""

import difflib
from collections.abc import Iterable

MAX_LISTED_NAMES = 12
"""More than this do not fit on one line."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of an error message about an unknown name.

    Args:
        word: The unknown name.
        known: The valid names.

    Returns:
        "; did you mean 'NAME'?" if a valid name is similar, ignoring case. Otherwise
        "; choose one of ..." with at most MAX_LISTED_NAMES of the valid names, or "" if there
        are none.
    """
    by_lower_case = {name.lower(): name for name in known}
    similar = difflib.get_close_matches(word.lower(), by_lower_case, n=1)
    if similar:
        return f"; did you mean {by_lower_case[similar[0]]!r}?"
    names = list(by_lower_case.values())
    more = f", ... ({len(names)} in all)" if len(names) > MAX_LISTED_NAMES else ""
    return f"; choose one of {', '.join(names[:MAX_LISTED_NAMES])}{more}" if names else ""
