"""Helpers that write Markdown."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; pipes and line breaks inside a cell are escaped."""
    lines = [list(header), ["---"] * len(header), *([cell(c) for c in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(text: str) -> str:
    """Return `text` as the content of one table cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(value: object) -> str:
    """Return `value` as inline code."""
    return f"`{value}`"
