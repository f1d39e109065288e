"""Name the folder whose disk is full; the errors of most libraries do not."""

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from base.errors import InputError

SMALLEST_FREE_BYTES = 1 << 14
"""With less free space, any failure within `full_disk_named` is taken for a full disk. The errors
of torch and ONNX Runtime for a full disk say nothing about it."""

TEMPORARY = "free some space, or set TMPDIR to a folder on another disk"
"""What to do if the disk of the temporary files is full."""


class FullDiskError(OSError):
    """A disk is full. `filename` is the folder, and `strerror` has the remedy."""


@contextmanager
def full_disk_named(folder: Path, remedy: str) -> Iterator[None]:
    """Raise FullDiskError in place of an error that a full disk causes within the block.

    The innermost of several such blocks names its folder.

    Args:
        folder: The folder that the block writes to. What the block wrote must still exist when it
            ends.
        remedy: What the user can do.

    Raises:
        FullDiskError: If the disk is full.
    """
    try:
        yield
    except (FullDiskError, InputError):
        raise
    except Exception as error:
        if not _is_full(error, folder):
            raise
        raise FullDiskError(errno.ENOSPC, f"the disk is full; {remedy}", str(folder)) from error


def _is_full(error: Exception, folder: Path) -> bool:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    if "No space left on device" in str(error):
        return True
    return folder.exists() and shutil.disk_usage(folder).free < SMALLEST_FREE_BYTES


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Provide an empty folder that is deleted afterwards.

    Raises:
        FullDiskError: If its disk is full.
    """
    root = Path(tempfile.gettempdir())
    with (
        full_disk_named(root, TEMPORARY),
        tempfile.TemporaryDirectory(prefix="datafree-edge-") as folder,
        full_disk_named(root, TEMPORARY),
    ):
        yield Path(folder)
