"""What is in service: of every bundle's name the last that passed, its history, and the way back.

A log in the store says it all, an entry a release; the last one is in service. Whatever fails its
verdict is never entered.
"""

import json
import re
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import Enum
from pathlib import Path

from base.errors import InputError
from base.file_digest import file_digest
from base.untrusted_files import PARSE_ERRORS
from pipeline.bundle.bundle import check_output, open_bundle
from pipeline.bundle.folder_swap import beside, swap
from pipeline.bundle.unpack import lay_out
from pipeline.store.step_record import Artifact, digest
from pipeline.store.store import STAMP, Store
from targets.bundle.bundle_files import MANIFEST, SIGNATURE, Manifest, named_files
from targets.bundle.verdict import Outcome

KIND = "service"

PASSED, INSTEAD = "passed", "instead of "


class Published(str, Enum):
    """What became of a bundle that a run has made."""

    NOW = "is in service from now on"
    THERE = "is in service as it was"
    FAILED = "did not pass and stays out"
    ASIDE = "passed and stays out: a person rolled back from its student"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Release:
    """A bundle that is or was in service.

    Attributes:
        bundle: Its digest.
        student: The digest of its graphs: engines may come later, the student is the same.
        manifest: The sha256 of its manifest in the store.
        signature: The sha256 of its signature; "" when it is not signed.
        because: "passed", or "instead of" the bundle that it was put back for.
        when: Since when, in UTC.

    Raises:
        ValueError, TypeError: When a field is not what it should be: they come from the store.
    """

    bundle: str
    student: str
    manifest: str
    signature: str
    because: str
    when: str = ""

    def __post_init__(self) -> None:
        replaced = self.bundle if self.because == PASSED else self.because.removeprefix(INSTEAD)
        signature = self.signature or self.bundle
        for sha256 in (self.bundle, self.student, self.manifest, signature, replaced):
            if not re.fullmatch("[0-9a-f]{64}", sha256):
                raise ValueError(f"{sha256!r} is no sha256")
        if self.when != "":
            datetime.strptime(self.when, STAMP)


def history(store: Store, name: str) -> list[Release]:
    """The releases of a name, the oldest first; the last one is in service.

    Raises:
        InputError: When an entry is none.
    """
    found: list[Release] = []
    for entry in store.entries(f"{KIND}/{name}"):
        try:
            release = Release(**entry)
        except PARSE_ERRORS:
            raise InputError(f"store: an entry of logs/{KIND}/{name} is damaged") from None
        # Two runs that put in the same at once are one release.
        if not found or found[-1].bundle != release.bundle:
            found.append(release)
    return found


def releases_of(store: Store, name: str) -> list[Release]:
    """The same, of a name that there must be.

    Raises:
        InputError: When nothing is in service under that name.
    """
    found = history(store, name)
    if not found:
        raise InputError(
            f"{name}: nothing is in service; `datafree-edge service` lists what "
            "is, and what a Prefect deployment's run passes will be"
        )
    return found


def names(store: Store) -> list[str]:
    """All names that something is in service of."""
    return store.logs(KIND)


def publish(store: Store, folder: Path, bundle: str) -> Published:
    """Put a bundle into service if it passed.

    One whose student was rolled back from stays out: a run that finds nothing changed must not
    undo what a person did.

    Args:
        store: Keeps every file of it.
        folder: The bundle's.
        bundle: Its digest.

    Returns:
        What became of it.

    Raises:
        InputError: When it is no whole bundle, or another one lies there by now.
    """
    manifest = open_bundle(folder)
    if manifest["bundle"] != bundle:
        raise InputError(f"{folder}: another run's bundle lies there; give each run an output")
    verdict, name = manifest["verdict"], manifest["name"]
    if verdict is None or verdict.get("outcome") != Outcome.PASS:
        return Published.FAILED
    releases = history(store, name)
    student = digest({n: d for n, d in manifest["files"].items() if n.startswith("graphs/")})
    if releases and releases[-1].bundle == bundle:
        return Published.THERE
    if student in _set_aside(releases):
        return Published.ASIDE
    for file in (*named_files(manifest), MANIFEST):
        store.put(folder / file, Path(file).name)
    signature = folder / SIGNATURE
    signed = store.put(signature, SIGNATURE).sha256 if signature.exists() else ""
    _enter(store, name, Release(bundle, student, file_digest(folder / MANIFEST), signed, PASSED))
    return Published.NOW


def roll_back(store: Store, name: str, to: str = "") -> Release:
    """Put an earlier bundle back into service.

    Args:
        store: Where releases are kept.
        name: Of the bundles.
        to: The first digits of a bundle's digest; the one that passed before the one in service
            when left out.

    Raises:
        InputError: When there is none.
    """
    releases = releases_of(store, name)
    current = releases[-1].bundle
    others = {r.bundle: r for r in releases if r.bundle.startswith(to) and r.bundle != current}
    found = list(others.values()) if to else _before(releases)
    if len(found) != 1:
        wanted = f"{len(found)} others begin with {to}" if to else "none was before it"
        raise InputError(f"{name}: bundle {current[:12]} is in service, and {wanted}")
    _enter(store, name, replace(found[0], because=f"{INSTEAD}{current}"))
    return history(store, name)[-1]


def fetch(store: Store, name: str, output: Path) -> Release:
    """Lay out the bundle in service, in place of an earlier one.

    Args:
        store: Where it is kept.
        name: Of the bundle.
        output: Its folder.

    Raises:
        InputError: When there is none, its files are gone or damaged, or `output` holds no bundle.
    """
    release, output = releases_of(store, name)[-1], output.absolute()
    check_output(output)
    written = beside(output, "part")
    try:
        lay_out(store, release.manifest, written)
        if release.signature:
            store.get(Artifact(SIGNATURE, release.signature, 0), written)
        open_bundle(written)
        swap(written, output)
    finally:
        shutil.rmtree(written, ignore_errors=True)
    return release


def kept_alive(store: Store) -> set[str]:
    """The sha256 of every object that a release needs."""
    alive: set[str] = set()
    for name in names(store):
        for release in history(store, name):
            alive |= {release.manifest, release.signature} - {""}
            alive |= set(named_files(manifest_of(store, release)).values())
    return alive


def manifest_of(store: Store, release: Release) -> Manifest:
    """A release's manifest.

    Raises:
        InputError: When it is gone or damaged, or none.
    """
    try:
        manifest: Manifest = json.loads(store.read(release.manifest))
        named_files(manifest)
    except PARSE_ERRORS:
        raise InputError(f"store: the object {release.manifest} is no manifest") from None
    return manifest


def _before(releases: list[Release]) -> list[Release]:
    """What was in service before the current one came, that was not rolled back from; at most one.

    Rolling back twice goes back two steps, not one and forth again.
    """
    standing: list[Release] = []
    for release in releases:
        earlier = [r.bundle for r in standing]
        if release.because != PASSED and release.bundle in earlier:
            last = len(earlier) - earlier[::-1].index(release.bundle)
            del standing[last:]
        else:
            standing.append(release)
    return standing[-2:-1]


def _set_aside(releases: list[Release]) -> set[str]:
    """Students that were rolled back from and not put into service since.

    Putting a later one back in place of an earlier one is no rolling back.
    """
    aside: set[str] = set()
    passed: dict[str, int] = {}
    students = {release.bundle: release.student for release in releases}
    for index, release in enumerate(releases):
        aside.discard(release.student)
        replaced = release.because.removeprefix(INSTEAD)
        if release.because == PASSED:
            passed[release.bundle] = index
        elif passed.get(release.bundle, -1) < passed.get(replaced, -1):
            aside.add(students[replaced])
    return aside


def _enter(store: Store, name: str, release: Release) -> None:
    entry = asdict(release)
    del entry["when"]
    store.append(f"{KIND}/{name}", entry)
