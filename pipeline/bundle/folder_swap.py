"""Replace a folder by a newly written one, so that a kill at any moment leaves one of the two."""

import ctypes
import errno
import os
import re
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Literal

from base.durable_files import replace_durably

RENAME_EXCHANGE, AT_FDCWD = 2, -100
"""Constants of Linux's renameat2."""

STALE_AFTER_S = 24 * 3600.0
"""Age from which a hidden sibling counts as left by a killed process."""

Role = Literal["part", "old"]
"""What a hidden sibling holds: a folder that is being written, or one that was moved away."""


def hidden_sibling(final: Path, role: Role) -> Path:
    """Return a new hidden name next to a folder. Nothing is created."""
    return final.with_name(f".{final.name}.{uuid.uuid4().hex}.{role}")


def swap_folder(written: Path, final: Path) -> None:
    """Move a written folder to its final name, and delete a folder that had that name.

    If the file system can exchange two names in one operation, the final name always exists. If
    not, the old folder is moved away first. After a kill between the two renames,
    `restore_interrupted_swap` moves it back.

    Args:
        written: A folder with a name from `hidden_sibling`.
        final: An existing folder, or a name that is free.
    """
    # A rename to its own name: writes the content to disk before any name changes.
    replace_durably(written, written)
    if final.exists():
        _delete_leftovers(final)
    moved = hidden_sibling(final, "old")
    while not _exchange_names(written, final):
        with suppress(FileNotFoundError):
            final.rename(moved)
        try:
            written.rename(final)
            break
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            # Another process created the final folder in between: replace that one too.
            shutil.rmtree(moved, ignore_errors=True)
    for old in (written, moved):
        shutil.rmtree(old, ignore_errors=True)


def restore_interrupted_swap(final: Path) -> None:
    """Move an old folder back if a swap was interrupted before the new folder took its name."""
    final = final.absolute()
    if not final.exists():
        for moved in _leftovers(final, "old")[:1]:
            with suppress(OSError):  # Another process was faster, or the folder is read-only.
                moved.rename(final)


def _delete_leftovers(final: Path) -> None:
    """Delete hidden siblings of an existing folder that killed processes have left."""
    stale_before = time.time() - STALE_AFTER_S
    for path in _leftovers(final, "old"):
        shutil.rmtree(path, ignore_errors=True)
    for path in _leftovers(final, "part"):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < stale_before:
                shutil.rmtree(path, ignore_errors=True)


def _leftovers(final: Path, role: Role) -> list[Path]:
    name = re.compile(rf"\.{re.escape(final.name)}\.[0-9a-f]{{32}}\.{role}")
    with suppress(OSError):
        return [path for path in final.parent.iterdir() if name.fullmatch(path.name)]
    return []


def _exchange_names(one: Path, other: Path) -> bool:
    """Exchange the names of two folders, and return whether that succeeded."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    names = os.fsencode(one), os.fsencode(other)
    return (
        rename is not None and rename(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0
    )
