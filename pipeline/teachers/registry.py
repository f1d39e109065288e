"""The registry of teachers: a folder or any fsspec URL, with a folder for every teacher.

    REGISTRY/NAME/run.yaml              its run file, called NAME too; its weights lie beside it
    REGISTRY/NAME/teacher.safetensors   or whatever it calls them

What was seen of it stands in a log of the store, so that whoever looks next, on whatever machine,
tells a changed teacher from a touched file.
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
from pipeline.teachers.loading import fingerprint
from pipeline.teachers.network_checks import check_networks

KIND = "teachers"

RUN_FILE = "run.yaml"


@dataclass(frozen=True)
class Change:
    """A teacher that is not what it was.

    Attributes:
        name: Of its folder.
        run_file: Place of its run file.
        targets: What the run file names, by every name of its target; none when it was refused.
        fingerprint: Of the teacher and all that its run file says; "" when it was refused.
        refused: Why it cannot be used; "" when it can.
        look: What its folder looked like.
    """

    name: str
    run_file: str
    targets: dict[str, list[str]]
    fingerprint: str
    refused: str
    look: str


def changes(
    registry: str,
    store: Store,
    pause: float,
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Change]:
    """The teachers that changed since they were last noted.

    Only what looks different is read at all (and everything once by new code), and only when it
    looks the same again after a while: what is still being written is left for the next time, as
    is what cannot be reached.

    Args:
        registry: Folder or URL.
        store: Where it stands what was seen.
        pause: Seconds in which a folder must not change.
        say: Takes a line about what is left.
        sleep: Waits so long.

    Raises:
        InputError: When there is no such registry, or its URL contains a password.
    """
    check_url(registry, "registry")
    code = code_digest(__name__)
    before = _looks(registry)
    seen = {name: _seen(store, registry, name) for name in before}
    new = [
        n
        for n, look in before.items()
        if (seen[n].get("look"), seen[n].get("code")) != (look, code)
    ]
    if not new:
        return
    sleep(pause)
    after = _looks(registry)
    for name in new:
        if after.get(name) != before[name]:
            say(f"{name}: still being written, left for the next time")
            continue
        try:
            change = _read(registry, name, before[name])
        except OSError as error:
            say(f"{name}: cannot be reached, left for the next time ({error})")
            continue
        if _is_known(change, seen[name]):
            # Touched, or the same once more: noted, so that it is not read every time.
            note(registry, store, change)
        else:
            yield change


def _is_known(change: Change, seen: dict[str, Any]) -> bool:
    if change.refused:
        return (seen.get("look"), seen.get("refused")) == (change.look, change.refused)
    return bool(change.fingerprint == seen.get("fingerprint"))


def note(registry: str, store: Store, change: Change) -> None:
    """Note that a change was made known; only now `changes` stops to tell it."""
    entry = {
        "look": change.look,
        "code": code_digest(__name__),
        "fingerprint": change.fingerprint,
        "refused": change.refused,
    }
    store.append(_log(registry, change.name), entry)


def _read(registry: str, name: str, look: str) -> Change:
    place = f"{registry.rstrip('/')}/{name}/{RUN_FILE}"
    try:
        config = read_run_file(place)
        if config.name != name:
            raise InputError(f"{place}: name must be that of its folder, {name!r}")
        _stays_inside(config.teacher.weights, place)
        check_config(config)
        state = check_networks(config, torch.device("cpu"))
        said = config.model_dump(mode="json", exclude={"teacher": {"weights"}})
        known = digest({"teacher": fingerprint(config.teacher, state), "run": said})
    except OSError:
        raise
    except InputError as error:
        return Change(name, place, {}, "", str(error), look)
    except Exception as error:  # What a factory or a network of theirs raises stops no other.
        reason = InputError(f"{place}: {type(error).__name__}: {error}")
        return Change(name, place, {}, "", str(reason), look)
    return Change(name, place, names_by_target(config), known, "", look)


def _stays_inside(weights: str, run_file: str) -> None:
    """What lies elsewhere would change unseen, and may be none of who fills the registry.

    Raises:
        InputError: When the weights do not lie in the run file's own folder, links followed.
    """
    fs, folder = fsspec.core.url_to_fs(run_file.rpartition("/")[0])
    other, place = fsspec.core.url_to_fs(weights)
    inside = type(fs) is type(other) and place.startswith(f"{folder.rstrip('/')}/")
    if isinstance(fs, LocalFileSystem):
        inside = inside and Path(place).resolve().is_relative_to(Path(folder).resolve())
    if not inside or ".." in place.split("/"):
        raise InputError(f"{run_file}: teacher.weights must lie beside it: {weights}")


def _looks(registry: str) -> dict[str, str]:
    """Of every teacher's folder: a digest of its files' names, sizes and times."""
    try:
        fs, root = fsspec.core.url_to_fs(registry, use_listings_cache=False)
        found: dict[str, dict[str, Any]] = fs.find(root, detail=True)
        there = bool(found) or fs.exists(root)
    except (OSError, ImportError, ValueError) as error:
        raise InputError(f"registry {registry}: cannot be read ({error})") from None
    if not there:
        raise InputError(f"registry {registry}: no such folder")
    files: dict[str, list[Any]] = {}
    for place, known in sorted(found.items()):
        name, _, rest = place[len(root) :].lstrip("/").partition("/")
        if rest:
            files.setdefault(name, []).append([rest, known["size"], str(fs.modified(place))])
    entries = {name for name, inside in files.items() if RUN_FILE in (file[0] for file in inside)}
    return {name: digest(files[name]) for name in sorted(entries)}


def _seen(store: Store, registry: str, name: str) -> dict[str, Any]:
    entries = store.entries(_log(registry, name))
    return entries[-1] if entries else {}


def _log(registry: str, name: str) -> str:
    return f"{KIND}/{digest(registry.rstrip('/'))[:16]}-{name}"
