"""Reduce untrusted text to one line that a terminal can print safely."""

import re

LINE_BREAKS = re.compile("\\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\\s*")


def one_line(text: str) -> str:
    """Return a text with line breaks as spaces and unprintable characters as escapes."""
    line = LINE_BREAKS.sub(" ", text.strip())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
