"""A lock for each step among the processes of one machine, for runs without an orchestrator."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from base.file_lock import file_lock
from base.notify import Notify
from pipeline.store.store import Store


def cache_folder() -> Path:
    """Return the folder of this project in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "datafree-edge"


class ProcessLock:
    """Locks steps of a store.

    The lock files are in the store if it is a folder, so that machines that share the folder share
    the locks; else in the user's cache, and only processes of this machine share them. The lock of
    a process that ended is free.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._folder = (store.local or cache_folder()) / "locks"

    def __call__(
        self, key: str, _: Callable[[], object], notify: Notify, owner: Callable[[], str]
    ) -> AbstractContextManager[None]:
        """Hold the lock of a step.

        Args:
            key: The step's key.
            notify: Receives a message if there is a wait.
            owner: Returns a description of the run that works on the step.
        """
        return file_lock(
            self._folder / f"{key}.lock",
            lambda: notify(f"{owner()} is doing this step; waiting for it"),
        )
