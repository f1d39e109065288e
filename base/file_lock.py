"""A lock on a folder that the operating system releases when its holder dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from base.notify import Notify


@contextmanager
def folder_lock(folder: Path, notify: Notify) -> Iterator[None]:
    """Hold a folder's lock; wait while another process holds it.

    The lock is the file `.FOLDER.lock` beside the folder.

    Args:
        folder: The folder to lock; it need not exist.
        notify: Receives one message if there is a wait.

    Raises:
        OSError: If the lock file cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            notify(f"another process is working in {folder}; waiting for it to finish")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
