"""Publish a bundle as the release of its name, and roll back to an earlier release."""

from dataclasses import replace
from enum import Enum
from pathlib import Path

from base.errors import InputError
from base.file_digest import file_digest
from pipeline.bundle.opening import open_bundle
from pipeline.releases.release_log import (
    INSTEAD_OF,
    PASSED,
    Release,
    append_release,
    log_of,
    release_history,
    require_history,
)
from pipeline.store.step_record import digest
from pipeline.store.store import Store
from targets.bundle.bundle_files import MANIFEST, SIGNATURE, Manifest, named_files
from targets.bundle.verdict import Outcome


class PublishResult(str, Enum):
    """What `publish` did with a bundle. The value completes a sentence about the bundle."""

    RELEASED = "is now released"
    UNCHANGED = "was already released"
    FAILED = "did not pass and is not released"
    WITHHELD = "passed but is withheld: a person rolled back from its student"

    def __str__(self) -> str:
        return self.value


def publish(store: Store, folder: Path, bundle: str) -> PublishResult:
    """Release a bundle if it passed its verdict: for the CPUs, and for every engine that passed.

    It is not released for a target whose engine is pending, did not pass, or is unverified.

    A bundle is withheld if a person rolled back from its student. Otherwise the next unchanged run
    would undo the roll-back.

    Args:
        store: Receives every file of the bundle.
        folder: The bundle's folder.
        bundle: The digest of the bundle that the run wrote.

    Returns:
        What was done with the bundle for the CPUs.

    Raises:
        InputError: If the folder does not hold that bundle, complete and unchanged.
    """
    manifest = open_bundle(folder)
    if manifest["bundle"] != bundle:
        raise InputError(
            f"{folder}: holds the bundle of another run; give each run an output of its own"
        )
    verdict, name = manifest["verdict"], manifest["name"]
    if verdict is None or verdict.get("outcome") != Outcome.PASS:
        return PublishResult.FAILED
    student = digest({n: d for n, d in manifest["files"].items() if n.startswith("graphs/")})
    logs = (name, *(log_of(name, target) for target in passed_engines(manifest)))
    results = {log: change_of(release_history(store, log), bundle, student) for log in logs}
    if PublishResult.RELEASED in results.values():
        for file in (*named_files(manifest), MANIFEST):
            store.put(folder / file, Path(file).name)
        path = folder / SIGNATURE
        signature = store.put(path, SIGNATURE).sha256 if path.exists() else ""
        release = Release(bundle, student, file_digest(folder / MANIFEST), signature, PASSED)
        for log, result in results.items():
            if result is PublishResult.RELEASED:
                append_release(store, log, release)
    return results[name]


def pending_engines(manifest: Manifest) -> list[str]:
    """Return the targets of a bundle whose engine is not built yet."""
    engines = manifest["engines"].items()
    return [target for target, entry in engines if entry.get("engine") == "pending"]


def passed_engines(manifest: Manifest) -> list[str]:
    """Return the targets whose engine was built and passed the check on its device.

    A graph compiled for a CPU has no recommendation: it is refused there if it does not pass.
    """
    pending = pending_engines(manifest)
    return [
        target
        for target, entry in manifest["engines"].items()
        if target not in pending and entry.get("recommended", "") is not None
        if "unasked" not in entry
    ]


def change_of(releases: list[Release], bundle: str, student: str) -> PublishResult:
    """Return what has to be done with a bundle that passed, from the releases so far."""
    if releases and releases[-1].bundle == bundle:
        return PublishResult.UNCHANGED
    if student in _withheld_students(releases):
        return PublishResult.WITHHELD
    return PublishResult.RELEASED


def roll_back(store: Store, name: str, to: str = "") -> Release:
    """Make an earlier bundle the release again.

    Args:
        store: Holds the release log.
        name: The name of the release's log.
        to: First digits of the bundle's digest. If empty, the bundle that was the release before
            the current one.

    Returns:
        The new release.

    Raises:
        InputError: If there is no such bundle, or more than one.
    """
    releases = require_history(store, name)
    current = releases[-1].bundle
    others = {r.bundle: r for r in releases if r.bundle.startswith(to) and r.bundle != current}
    found = list(others.values()) if to else _previous(releases)
    if len(found) != 1:
        problem = (
            f"{len(found)} other bundles begin with {to}" if to else "there is no earlier release"
        )
        raise InputError(
            f"{name}: bundle {current[:12]} is released, and {problem}; "
            f"list them with: datafree-edge releases {name}"
        )
    append_release(store, name, replace(found[0], because=f"{INSTEAD_OF}{current}"))
    return release_history(store, name)[-1]


def _previous(releases: list[Release]) -> list[Release]:
    """Return the release before the current one, without those rolled back from; at most one.

    Rolling back twice goes two releases back, not back and forth.
    """
    path: list[Release] = []
    for release in releases:
        earlier = [r.bundle for r in path]
        if release.because != PASSED and release.bundle in earlier:
            last = len(earlier) - earlier[::-1].index(release.bundle)
            del path[last:]
        else:
            path.append(release)
    return path[-2:-1]


def _withheld_students(releases: list[Release]) -> set[str]:
    """Return the students that a person rolled back from and that were not released since.

    Replacing an earlier bundle by a later one by hand is no roll-back.
    """
    withheld: set[str] = set()
    passed_at: dict[str, int] = {}
    students = {release.bundle: release.student for release in releases}
    for index, release in enumerate(releases):
        withheld.discard(release.student)
        replaced = release.because.removeprefix(INSTEAD_OF)
        if release.because == PASSED:
            passed_at[release.bundle] = index
        elif passed_at.get(release.bundle, -1) < passed_at.get(replaced, -1):
            withheld.add(students[replaced])
    return withheld
