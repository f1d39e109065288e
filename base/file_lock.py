"""One at a time in a folder: who builds there holds a lock that the system frees when it dies."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a folder, `.FOLDER.lock` beside it; wait for it where somebody else does.

    Args:
        folder: It need not be there.
        say: Where to say that somebody is waited for.

    Raises:
        OSError: When the lock's file cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another build is at work in {folder}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
