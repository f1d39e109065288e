"""Write files so that a reader never sees a partial one, even after a power failure."""

import os
import uuid
from pathlib import Path


def replace_durably(written: Path, final: Path) -> None:
    """Flush a file or folder to disk, then rename it to its final name.

    Args:
        written: A file or folder on the same file system as `final`.
        final: The path to replace.
    """
    for path in [written] if written.is_file() else [p for p in written.rglob("*") if p.is_file()]:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    written.replace(final)


def write_durably(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it to `path`."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        temporary.write_text(text)
        replace_durably(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
