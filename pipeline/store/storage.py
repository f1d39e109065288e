"""Files under one root, on any file system that fsspec knows: written whole, or not at all."""

import contextlib
import errno
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec

from base.durable_files import replace_durably
from base.errors import InputError
from base.urls import check_url

SMALL = 1 << 26
"""Bytes that a record or an entry of a log may have."""


class StoreUnreachableError(OSError):
    """A store did not answer as one should; another try may find that it does."""


@dataclass(frozen=True)
class Kept:
    """A file that lies there.

    Attributes:
        place: Under the root.
        size: In bytes.
        modified: When it was written last.
    """

    place: str
    size: int
    modified: datetime


class Files:
    """Places are relative to the root, with slashes.

    Args:
        url: A folder or an fsspec URL.

    Attributes:
        url: As it was given.
        local: The folder, where it is one of this machine.

    Raises:
        InputError: When the root cannot be written, or the URL contains a password.
        StoreUnreachableError: When it does not answer; so do all methods.
    """

    def __init__(self, url: str) -> None:
        check_url(url, "store")
        self.url = url
        try:
            # A listing that is remembered would hide what others have written since.
            self._fs, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise InputError(f"store {url}: cannot be opened ({error})") from None
        self.local = Path(self._root) if "file" in _protocols(self._fs) else None
        try:
            with self._reached():
                self._fs.makedirs(self._root, exist_ok=True)
        except StoreUnreachableError:
            raise
        except OSError as error:
            why = error.strerror or error
            raise InputError(f"store {url}: cannot be written ({why})") from None

    def has(self, place: str) -> bool:
        """Whether there is such a file."""
        with self._reached():
            found: bool = self._fs.exists(self._full(place))
        return found

    def read(self, place: str) -> bytes:
        """A small file's content.

        Raises:
            FileNotFoundError: When there is none.
            InputError: When it is larger than any of ours.
        """
        with self._reached():
            content: bytes = self._fs.cat_file(self._full(place), start=0, end=SMALL + 1)
        if len(content) > SMALL:
            raise InputError(f"store {self.url}: {place} is larger than {SMALL:,} bytes; delete it")
        return content

    def fetch(self, place: str, path: Path) -> None:
        """Copy a file to a path of this machine.

        Raises:
            FileNotFoundError: When there is none.
        """
        path.touch()  # A folder that is missing here is no file that is missing there.
        with self._reached():
            self._fs.get_file(self._full(place), str(path))

    def write(self, place: str, source: Path) -> None:
        """Whole or not at all: an object store does that by itself, a folder by renaming."""
        full = self._full(place)
        with self._reached():
            self._fs.makedirs(full.rsplit("/", 1)[0], exist_ok=True)
            if self.local is None:
                self._fs.put_file(str(source), full)
                return
        beside = Path(f"{full}.{uuid.uuid4().hex}.part")
        try:
            shutil.copyfile(source, beside)
            replace_durably(beside, Path(full))
        finally:
            beside.unlink(missing_ok=True)

    def write_json(self, place: str, document: Any) -> None:
        """Write a JSON value."""
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(document, file, sort_keys=True)
            file.flush()
            self.write(place, Path(file.name))

    def listed(self, folder: str) -> list[str]:
        """Places of what lies directly in a folder, by name; none where there is no folder."""
        with self._reached():
            try:
                found: list[str] = self._fs.ls(self._full(folder), detail=False)
            except FileNotFoundError:
                return []
        names = (place.rstrip("/").rsplit("/", 1)[1] for place in found)
        return [f"{folder}/{name}" for name in sorted(names)]

    def below(self, folder: str) -> Iterator[Kept]:
        """All files in a folder, at any depth, also what a writer that was killed left half."""
        with self._reached():
            found: dict[str, dict[str, Any]] = self._fs.find(self._full(folder), detail=True)
        for full, known in sorted(found.items()):
            place = full[len(self._root) :].lstrip("/")
            time = known.get("LastModified")  # S3's; asked for one by one it takes minutes.
            with contextlib.suppress(FileNotFoundError):
                modified = time if isinstance(time, datetime) else self.modified(place)
                yield Kept(place, int(known["size"]), modified)

    def modified(self, place: str) -> datetime:
        """When a file was written last.

        Raises:
            FileNotFoundError: When there is none.
        """
        with self._reached():
            time: datetime = self._fs.modified(self._full(place))
        return time

    def renew(self, place: str) -> None:
        """Make a file young, as if it had been written again.

        Raises:
            FileNotFoundError: When there is none.
        """
        full = self._full(place)
        if self.local is not None:
            os.utime(full)
            return
        try:
            self._copy_and_back(full)
        except NotImplementedError:  # fsspec's word for a store that copies nothing.
            with tempfile.TemporaryDirectory() as folder:
                self.fetch(place, path := Path(folder, "file"))
                self.write(place, path)

    def _copy_and_back(self, full: str) -> None:
        """Not every object store copies a file onto itself, and not every server copies at all."""
        beside = f"{full}.{uuid.uuid4().hex}.part"
        with self._reached():
            try:
                self._fs.cp_file(full, beside)
                self._fs.cp_file(beside, full)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    self._fs.rm_file(beside)

    def delete(self, place: str) -> None:
        """Delete a file; one that is gone already is none's fault."""
        with self._reached():
            try:
                self._fs.rm_file(self._full(place))
            except FileNotFoundError:
                return

    def _full(self, place: str) -> str:
        return f"{self._root}/{place}"

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Whatever a store's own library raises becomes an OSError, as that of a disk is."""
        try:
            yield
        except (OSError, TypeError, AttributeError, NotImplementedError):
            raise
        except Exception as error:
            raise StoreUnreachableError(errno.EIO, str(error), self.url) from error


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
