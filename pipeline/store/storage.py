"""Files below one root, on any file system that fsspec supports."""

import contextlib
import errno
import json
import os
import shutil
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
from base.full_disk import full_disk_named, temporary_folder
from base.urls import check_url

MAX_SMALL_BYTES = 1 << 26
"""The largest record or log entry that is read."""


STORE_REMEDY = (
    "free some space, for example with datafree-edge collect, or choose another store with "
    "--store or DATAFREE_EDGE_STORE"
)
"""What to do if the disk of the store is full."""


class StoreUnreachableError(OSError):
    """The store did not answer properly; a later try may succeed."""


@dataclass(frozen=True)
class StoredFile:
    """A file below the root.

    Attributes:
        place: Its path below the root.
        size_bytes: Its size.
        modified: When it was last written.
    """

    place: str
    size_bytes: int
    modified: datetime


class Files:
    """Files below a root. A file is written whole or not at all.

    All places are paths relative to the root, with slashes.

    Args:
        url: A folder or an fsspec URL.

    Attributes:
        url: The root.
        local: The root's path if it is a folder on this machine, else None.

    Raises:
        InputError: If the root cannot be written, or its URL contains a password.
        StoreUnreachableError: If the store does not answer. All methods raise it too.
    """

    def __init__(self, url: str) -> None:
        check_url(url, "store")
        self.url = url
        try:
            # A cached listing would hide what other processes have written since.
            self._fs, self._root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise InputError(f"store {url}: cannot be opened ({error}); check --store") from None
        self.local = Path(self._root) if "file" in _protocols(self._fs) else None
        try:
            with self._as_os_errors():
                self._fs.makedirs(self._root, exist_ok=True)
        except StoreUnreachableError:
            raise
        except OSError as error:
            why = error.strerror or error
            raise InputError(
                f"store {url}: cannot be written ({why}); choose another --store"
            ) from None

    def exists(self, place: str) -> bool:
        """Return whether a file exists."""
        with self._as_os_errors():
            found: bool = self._fs.exists(self._full(place))
        return found

    def read(self, place: str) -> bytes:
        """Return the content of a small file.

        Raises:
            FileNotFoundError: If it does not exist.
            InputError: If it is larger than MAX_SMALL_BYTES.
        """
        with self._as_os_errors():
            content: bytes = self._fs.cat_file(self._full(place), start=0, end=MAX_SMALL_BYTES + 1)
        if len(content) > MAX_SMALL_BYTES:
            raise InputError(
                f"store {self.url}: {place} is larger than {MAX_SMALL_BYTES:,} bytes; delete it"
            )
        return content

    def fetch(self, place: str, path: Path) -> None:
        """Copy a file to a path on this machine.

        Raises:
            FileNotFoundError: If it does not exist.
        """
        path.touch()  # So that a missing local folder is not mistaken for a missing stored file.
        with self._as_os_errors():
            self._fs.get_file(self._full(place), str(path))

    def write(self, place: str, source: Path) -> None:
        """Copy a local file into the store, whole or not at all.

        Raises:
            FullDiskError: If the disk of the store is full.
        """
        full = self._full(place)
        with full_disk_named(self.local or Path(self.url), STORE_REMEDY), self._as_os_errors():
            self._fs.makedirs(full.rsplit("/", 1)[0], exist_ok=True)
            if self.local is None:
                # An object store shows an object only when it is complete.
                self._fs.put_file(str(source), full)
                return
        beside = Path(f"{full}.{uuid.uuid4().hex}.part")
        try:
            with full_disk_named(self.local, STORE_REMEDY):
                shutil.copyfile(source, beside)
                replace_durably(beside, Path(full))
        finally:
            beside.unlink(missing_ok=True)

    def write_json(self, place: str, document: Any) -> None:
        """Write a JSON value."""
        with temporary_folder() as folder:
            (path := folder / "document.json").write_text(json.dumps(document, sort_keys=True))
            self.write(place, path)

    def list_folder(self, folder: str) -> list[str]:
        """Return the sorted places directly in a folder; none if there is no such folder."""
        with self._as_os_errors():
            try:
                found: list[str] = self._fs.ls(self._full(folder), detail=False)
            except FileNotFoundError:
                return []
        names = (place.rstrip("/").rsplit("/", 1)[1] for place in found)
        return [f"{folder}/{name}" for name in sorted(names)]

    def walk(self, folder: str) -> Iterator[StoredFile]:
        """Yield all files in a folder, at any depth, including unfinished ones."""
        with self._as_os_errors():
            found: dict[str, dict[str, Any]] = self._fs.find(self._full(folder), detail=True)
        for full, details in sorted(found.items()):
            place = full[len(self._root) :].lstrip("/")
            # S3 lists it; a request per file would take minutes.
            time = details.get("LastModified")
            with contextlib.suppress(FileNotFoundError):
                modified = time if isinstance(time, datetime) else self.modified(place)
                yield StoredFile(place, int(details["size"]), modified)

    def modified(self, place: str) -> datetime:
        """Return when a file was last written.

        Raises:
            FileNotFoundError: If it does not exist.
        """
        with self._as_os_errors():
            time: datetime = self._fs.modified(self._full(place))
        return time

    def refresh(self, place: str) -> None:
        """Set a file's timestamp to now, as if it had been written again.

        Raises:
            FileNotFoundError: If it does not exist.
        """
        full = self._full(place)
        if self.local is not None:
            os.utime(full)
            return
        try:
            self._copy_and_back(full)
        except NotImplementedError:  # fsspec raises it for a store without a copy operation.
            with temporary_folder() as folder:
                self.fetch(place, path := folder / "file")
                self.write(place, path)

    def _copy_and_back(self, full: str) -> None:
        """Copy a file to another place and back: some stores cannot copy a file onto itself."""
        beside = f"{full}.{uuid.uuid4().hex}.part"
        with self._as_os_errors():
            try:
                self._fs.cp_file(full, beside)
                self._fs.cp_file(beside, full)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    self._fs.rm_file(beside)

    def delete(self, place: str) -> None:
        """Delete a file if it exists."""
        with self._as_os_errors():
            try:
                self._fs.rm_file(self._full(place))
            except FileNotFoundError:
                return

    def _full(self, place: str) -> str:
        return f"{self._root}/{place}"

    @contextmanager
    def _as_os_errors(self) -> Iterator[None]:
        """Turn the exceptions of a store's own library into an OSError, as a disk raises."""
        try:
            yield
        except (OSError, TypeError, AttributeError, NotImplementedError):
            raise  # OSError is right already; the others are faults of the code, not of the store.
        except Exception as error:
            raise StoreUnreachableError(errno.EIO, str(error), self.url) from error


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
