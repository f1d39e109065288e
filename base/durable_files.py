"""Files under their final name are whole, also after a power cut."""

import hashlib
import os
import uuid
from pathlib import Path


def replace_durably(written: Path, final: Path) -> None:
    """Give a file or folder its final name, its content being on disk before."""
    for path in [written] if written.is_file() else [p for p in written.rglob("*") if p.is_file()]:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    written.replace(final)


def write_durably(path: Path, text: str) -> None:
    """Write a text file beside its place and rename it."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        beside.write_text(text)
        replace_durably(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()
