"""What an unfinished step has come to: files that a next try goes on from, wherever it runs."""

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pipeline.files import Files

LATELY = timedelta(minutes=5)
"""Who works writes a checkpoint more often than that."""


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

    def is_worked_on(self) -> bool:
        """Whether any of them was written lately."""
        lately = datetime.now(timezone.utc) - LATELY
        return any(kept.modified > lately for kept in self.files.below(self.folder))

    def clear(self) -> None:
        """Delete them all."""
        for place in self.files.listed(self.folder):
            self.files.delete(place)
