"""Files of an unfinished step, kept in the store so that any machine can continue from them."""

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from socket import gethostname

from base.full_disk import temporary_folder
from base.untrusted_files import PARSE_ERRORS
from pipeline.store.storage import Files

ALIVE = "alive"
"""The file of the process that works on a step."""

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

    def owner(self) -> str:
        """Return a description of the run that works on the step, as far as it is known."""
        try:
            saved = json.loads(self.files.read(f"{self.folder}/{ALIVE}"))
            who = f" (process {int(saved['process'])} on {saved['host']} since {saved['since']})"
        except (OSError, *PARSE_ERRORS):
            who = ""
        return f"another run{who}"

    @contextlib.contextmanager
    def heartbeat(self) -> Iterator[None]:
        """Write a file every `HEARTBEAT_S` seconds while the block runs.

        It names the process, and shows other processes that a step without checkpoints is still
        running. A write that fails does not stop the step.
        """
        ended = threading.Event()
        since = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
        text = json.dumps({"process": os.getpid(), "host": gethostname(), "since": since})

        def beat() -> None:
            with temporary_folder() as folder:
                (sign := folder / ALIVE).write_text(text)
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
