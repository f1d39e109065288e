"""Putting a written folder in place of another, so that a kill at any moment leaves one of them."""

import ctypes
import errno
import os
import re
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path

from base.durable_files import replace_durably

EXCHANGE, HERE = 2, -100
"""Linux's RENAME_EXCHANGE and AT_FDCWD."""

LEFT = 24 * 3600.0
"""Seconds after which nobody writes a folder any more."""


def beside(final: Path, kind: str) -> Path:
    """A new hidden name next to a folder, for what is written ("part") or steps aside ("old")."""
    return final.with_name(f".{final.name}.{uuid.uuid4().hex}.{kind}")


def swap(written: Path, final: Path) -> None:
    """Put a written folder in place of a final one, if there is one, and delete that.

    Where the file system can exchange two names nobody ever sees neither. Elsewhere the old folder
    steps aside first: after a kill in between it is `recover` that puts it back.

    Args:
        written: A name that `beside` gave.
        final: A folder, or nothing yet.
    """
    # Under its own name once more: what is in it is on disk before any name changes.
    replace_durably(written, written)
    if final.exists():
        _delete_left_over(final)
    aside = beside(final, "old")
    while not _exchanged(written, final):
        with suppress(FileNotFoundError):
            final.rename(aside)
        try:
            written.rename(final)
            break
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            # Someone else's came in between, and goes the same way.
            shutil.rmtree(aside, ignore_errors=True)
    for old in (written, aside):
        shutil.rmtree(old, ignore_errors=True)


def recover(final: Path) -> None:
    """Put back a folder that stepped aside for one that never came."""
    final = final.absolute()
    if not final.exists():
        for aside in _left_over(final, "old")[:1]:
            with suppress(OSError):  # Someone else was faster, or this one may only read.
                aside.rename(final)


def _delete_left_over(final: Path) -> None:
    """What killed processes left beside a folder that is in its place."""
    late = time.time() - LEFT
    for path in _left_over(final, "old"):
        shutil.rmtree(path, ignore_errors=True)
    for path in _left_over(final, "part"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < late:
                shutil.rmtree(path, ignore_errors=True)


def _left_over(final: Path, kind: str) -> list[Path]:
    name = re.compile(rf"\.{re.escape(final.name)}\.[0-9a-f]{{32}}\.{kind}")
    with suppress(OSError):
        return [path for path in final.parent.iterdir() if name.fullmatch(path.name)]
    return []


def _exchanged(one: Path, other: Path) -> bool:
    """Whether both are there and have each other's names now."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = os.fsencode(one), os.fsencode(other)
    return rename is not None and rename(HERE, names[0], HERE, names[1], EXCHANGE) == 0
