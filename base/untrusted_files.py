"""Limits and checks for files that other people wrote."""

from pathlib import Path

PARSE_ERRORS = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""Exceptions raised by parsing malformed JSON, or by reading JSON of an unexpected structure."""

MAX_FILE_BYTES = 4 << 30
"""Largest accepted size of a weights or probe file, uncompressed.

A small archive can declare any uncompressed size.
"""


def is_inside(folder: Path, name: str) -> bool:
    """Return whether a relative file name stays inside a folder, with links resolved.

    Unprintable names, and parts longer than 255 bytes that no file system accepts, are rejected.
    """
    parts = name.split("/")
    if not name.isprintable() or not all(0 < len(part.encode()) < 256 for part in parts):
        return False
    return not {".", ".."} & set(parts) and (folder / name).resolve().is_relative_to(
        folder.resolve()
    )
