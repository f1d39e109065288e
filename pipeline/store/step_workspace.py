"""What an unfinished step has come to: files that a next try goes on from, wherever it runs."""

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipeline.store.storage import Files

BEAT = 10.0
"""Seconds between two signs of life of one who works at a step."""


@dataclass(frozen=True)
class Unfinished:
    """The files of one step, in the store; they outlive an interruption.

    Attributes:
        files: Of the store.
        folder: Its place there.
    """

    files: Files
    folder: str

    @property
    def is_far(self) -> bool:
        """Whether keeping a file means sending it somewhere."""
        return self.files.local is None

    def fetch(self, name: str, path: Path) -> bool:
        """Copy a file to a path; whether there was one."""
        with contextlib.suppress(FileNotFoundError):
            self.files.fetch(f"{self.folder}/{name}", path)
            return True
        return False

    def keep(self, name: str, path: Path) -> None:
        """Keep a file in place of an earlier one of that name."""
        self.files.write(f"{self.folder}/{name}", path)

    def signs(self) -> dict[str, datetime]:
        """When each of them was written: it changes as long as somebody works at the step.

        To be compared with an earlier look, not with a clock: the store's may differ from ours.
        """
        return {kept.place: kept.modified for kept in self.files.below(self.folder)}

    @contextlib.contextmanager
    def worked_on(self) -> Iterator[None]:
        """As long as it lasts, a file is written now and then: also steps without checkpoints live.

        One that cannot be written is no reason to stop.
        """
        ended = threading.Event()

        def live() -> None:
            with tempfile.TemporaryDirectory() as folder:
                (sign := Path(folder, "alive")).write_bytes(b"")
                while True:
                    with contextlib.suppress(OSError):
                        self.keep(sign.name, sign)
                    if ended.wait(BEAT):
                        return

        beating = threading.Thread(target=live, daemon=True)
        beating.start()
        try:
            yield
        finally:
            ended.set()
            beating.join()

    def clear(self) -> None:
        """Delete them all."""
        for place in self.files.listed(self.folder):
            self.files.delete(place)
