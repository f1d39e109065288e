"""Text out of files and names, as one line that a terminal prints and does not act on."""

import re

BREAKS = re.compile("\\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\\s*")


def one_line(text: str) -> str:
    """Line breaks become spaces; what is not printable is shown as its escape."""
    line = BREAKS.sub(" ", text.strip())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
