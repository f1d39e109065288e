"""Locks that the operating system releases when their holder dies."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from base.notify import Notify


@contextmanager
def file_lock(path: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold a lock file; wait while another process holds it.

    The file exists only while the lock is held. On a network file system, the lock also holds
    between machines if the system supports flock, as NFS does.

    Args:
        path: The lock file; its folder is created.
        on_wait: Called once if there is a wait.

    Raises:
        OSError: If the lock file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    waited = False
    with ExitStack() as opened:
        while True:
            file = opened.enter_context(path.open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not waited:
                    on_wait()
                waited = True
                fcntl.flock(file, fcntl.LOCK_EX)
            # The last holder may have deleted this file; then another process can hold a new one.
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    break
            opened.close()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


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
    line = f"another process is working in {folder}; waiting for it to finish"
    with file_lock(folder.with_name(f".{folder.name}.lock"), lambda: notify(line)):
        yield
