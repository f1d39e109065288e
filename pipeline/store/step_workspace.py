"""Files of an unfinished step, kept in the store so that any machine can continue from them."""

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.store.storage import Files

HEARTBEAT_S = 10.0
"""Seconds between two writes that show that a process is still working on a step."""


@dataclass(frozen=True)
class Workspace:
    """The stored files of one unfinished step. They survive an interruption.

    Attributes:
        files: The store's files.
        folder: The folder of this step in the store.
    """

    files: Files
    folder: str

    @property
    def is_remote(self) -> bool:
        """Whether saving a file sends it over a network."""
        return self.files.local is None

    def fetch(self, name: str, path: Path) -> bool:
        """Copy a file to `path`. Return whether the file exists."""
        with contextlib.suppress(FileNotFoundError):
            self.files.fetch(f"{self.folder}/{name}", path)
            return True
        return False

    def save(self, name: str, path: Path) -> None:
        """Store a file, replacing an earlier one with the same name."""
        self.files.write(f"{self.folder}/{name}", path)

    def write_times(self) -> dict[str, datetime]:
        """Return when each file was last written.

        The result changes while a process works on the step. Compare it with an earlier result,
        not with the local clock: the store's clock may differ.
        """
        return {file.place: file.modified for file in self.files.walk(self.folder)}

    @contextlib.contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Write a file every `HEARTBEAT_S` seconds while the block runs.

        It shows other processes that steps without checkpoints are still running. A write that
        fails does not stop the step.
        """
        ended = threading.Event()

        def beat() -> None:
            with tempfile.TemporaryDirectory() as folder:
                (sign := Path(folder, "alive")).write_bytes(b"")
                while True:
                    with contextlib.suppress(OSError):
                        self.save(sign.name, sign)
                    if ended.wait(HEARTBEAT_S):
                        return

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def clear(self) -> None:
        """Delete all files."""
        for place in self.files.list_folder(self.folder):
            self.files.delete(place)
