"""The registry of teachers: a folder or fsspec URL that holds one folder for each teacher.

    REGISTRY/NAME/run.yaml              the run file of the teacher; its `name` must be NAME
    REGISTRY/NAME/teacher.safetensors   the weights, under any file name

The last state of each teacher is logged in the store, so that any machine can distinguish a changed
teacher from a file with a new timestamp.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import torch
from fsspec.implementations.local import LocalFileSystem

from base.errors import InputError
from base.urls import check_url
from pipeline.config.chosen_targets import names_by_target
from pipeline.config.run_file import read_run_file
from pipeline.store.code_digest import code_digest
from pipeline.store.step_record import digest
from pipeline.store.store import Store
from pipeline.teachers.config_checks import check_config
from pipeline.teachers.network_checks import check_networks

LOG_KIND = "teachers"

RUN_FILE = "run.yaml"


@dataclass(frozen=True)
class TeacherChange:
    """A teacher that was added, changed, or cannot be used.

    Attributes:
        name: Name of the teacher and of its folder.
        run_file: Path or URL of its run file.
        targets: The run file's targets, by each name in the catalogue; TARGET@POOL and
            TARGET-dla0 are listed under TARGET. Empty if the teacher is refused.
        fingerprint: sha256 of the teacher and of the run file's content; "" if it is refused.
        refused: The reason why the teacher cannot be used; "" if it can.
        listing: Digest of the names, sizes and timestamps of the files in its folder.
    """

    name: str
    run_file: str
    targets: dict[str, list[str]]
    fingerprint: str
    refused: str
    listing: str


def find_changes(
    registry: str,
    store: Store,
    pause_s: float,
    notify: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[TeacherChange]:
    """Yield the teachers that changed since `record_change` was last called for them.

    A teacher is read only if its folder's listing or the code that checks it has changed. A
    folder whose listing changes during the pause is still being written; it is left for the next
    call, as is one that cannot be reached.

    Args:
        registry: Folder or URL.
        store: Holds the log of each teacher.
        pause_s: Seconds during which a folder must not change.
        notify: Receives a line about each teacher that is left for the next call.
        sleep: Waits for a number of seconds.

    Raises:
        InputError: If the registry does not exist, or its URL contains a password.
    """
    check_url(registry, "registry")
    code = code_digest(__name__)
    before = _listings(registry)
    logged = {name: _last_entry(store, registry, name) for name in before}
    new = [
        name
        for name, listing in before.items()
        if (logged[name].get("look"), logged[name].get("code")) != (listing, code)
    ]
    if not new:
        return
    sleep(pause_s)
    after = _listings(registry)
    for name in new:
        if after.get(name) != before[name]:
            notify(f"{name}: its folder is still being written; checking it next time")
            continue
        try:
            change = _read(registry, name, before[name])
        except OSError as error:
            notify(f"{name}: cannot be reached ({error}); checking it next time")
            continue
        if _is_logged(change, logged[name]):
            # The content is the same: log the new listing, so that it is not read every time.
            record_change(registry, store, change)
        else:
            yield change


def record_change(registry: str, store: Store, change: TeacherChange) -> None:
    """Log a change that has been announced, so that `find_changes` does not yield it again."""
    entry = {
        "look": change.listing,
        "code": code_digest(__name__),
        "fingerprint": change.fingerprint,
        "refused": change.refused,
    }
    store.append(_log(registry, change.name), entry)


def _is_logged(change: TeacherChange, entry: dict[str, Any]) -> bool:
    if change.refused:
        return (entry.get("look"), entry.get("refused")) == (change.listing, change.refused)
    return bool(change.fingerprint == entry.get("fingerprint"))


def _read(registry: str, name: str, listing: str) -> TeacherChange:
    place = f"{registry.rstrip('/')}/{name}/{RUN_FILE}"
    try:
        config = read_run_file(place)
        if config.name != name:
            raise InputError(
                f"{place}: name is {config.name!r}, but must be {name!r}, the name of its folder"
            )
        _require_inside(config.teacher.weights, place)
        check_config(config)
        fingerprint = check_networks(config, torch.device("cpu")).fingerprint
        run = config.model_dump(mode="json", exclude={"teacher": {"weights"}, "precision": True})
        known = digest({"teacher": fingerprint, "run": run})
    except OSError:
        raise
    except InputError as error:
        return TeacherChange(name, place, {}, "", str(error), listing)
    except Exception as error:  # A user's factory or network must not stop the other teachers.
        reason = InputError(f"{place}: {type(error).__name__}: {error}")
        return TeacherChange(name, place, {}, "", str(reason), listing)
    return TeacherChange(name, place, names_by_target(config), known, "", listing)


def _require_inside(weights: str, run_file: str) -> None:
    """Check that the weights are in the run file's folder, with links resolved.

    A change of a file elsewhere would not be noticed, and the owner of the registry may have no
    right to read it.

    Raises:
        InputError: If they are elsewhere.
    """
    fs, folder = fsspec.core.url_to_fs(run_file.rpartition("/")[0])
    other, place = fsspec.core.url_to_fs(weights)
    inside = type(fs) is type(other) and place.startswith(f"{folder.rstrip('/')}/")
    if isinstance(fs, LocalFileSystem):
        inside = inside and Path(place).resolve().is_relative_to(Path(folder).resolve())
    if not inside or ".." in place.split("/"):
        raise InputError(
            f"{run_file}: teacher.weights must be in the run file's folder, not {weights}; "
            "copy the file there"
        )


def _listings(registry: str) -> dict[str, str]:
    """Return, by teacher, a digest of the names, sizes and timestamps of its files."""
    try:
        fs, root = fsspec.core.url_to_fs(registry, use_listings_cache=False)
        found: dict[str, dict[str, Any]] = fs.find(root, detail=True)
        exists = bool(found) or fs.exists(root)
    except (OSError, ImportError, ValueError) as error:
        raise InputError(f"registry {registry}: cannot be read ({error})") from None
    if not exists:
        raise InputError(f"registry {registry}: no such folder; correct the parameter registry")
    files: dict[str, list[Any]] = {}
    for place, info in sorted(found.items()):
        name, _, rest = place[len(root) :].lstrip("/").partition("/")
        if rest:
            files.setdefault(name, []).append([rest, info["size"], str(fs.modified(place))])
    names = {name for name, inside in files.items() if RUN_FILE in (file[0] for file in inside)}
    return {name: digest(files[name]) for name in sorted(names)}


def _last_entry(store: Store, registry: str, name: str) -> dict[str, Any]:
    entries = store.entries(_log(registry, name))
    return entries[-1] if entries else {}


def _log(registry: str, name: str) -> str:
    return f"{LOG_KIND}/{digest(registry.rstrip('/'))[:16]}-{name}"
