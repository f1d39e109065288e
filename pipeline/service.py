"""What is in service: of every bundle's name the last that passed, its history, and the way back.

A log in the store says it all, an entry a release; the last one is in service. Whatever fails its
verdict is never entered.
"""

import json
import shutil
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pipeline.bundle import check_output, open_bundle, swap
from pipeline.errors import InputError
from pipeline.laid_out import lay_out
from pipeline.store import Artifact, Store
from targets.bundle_files import MANIFEST, SIGNATURE, named_files
from targets.durable_files import file_digest
from targets.verdict import Outcome

KIND = "service"

PASSED, INSTEAD = "passed", "instead of "


@dataclass(frozen=True)
class Release:
    """A bundle that is or was in service.

    Attributes:
        bundle: Its digest.
        manifest: The sha256 of its manifest in the store.
        signature: The sha256 of its signature; "" when it is not signed.
        because: "passed", or "instead of" the bundle that it was put back for.
        when: Since when, in UTC.
    """

    bundle: str
    manifest: str
    signature: str
    because: str
    when: str = ""


def history(store: Store, name: str) -> list[Release]:
    """The releases of a name, the oldest first; the last one is in service."""
    return [Release(**entry) for entry in store.entries(f"{KIND}/{name}")]


def releases_of(store: Store, name: str) -> list[Release]:
    """The same, of a name that there must be.

    Raises:
        InputError: When nothing is in service under that name.
    """
    found = history(store, name)
    if not found:
        raise InputError(f"{name}: nothing is in service; `datafree-edge service` lists what is")
    return found


def names(store: Store) -> list[str]:
    """All names that something is in service of."""
    return store.logs(KIND)


def publish(store: Store, folder: Path) -> bool:
    """Put a bundle into service if it passed.

    One that was rolled back from stays out: a run that finds nothing changed must not undo what a
    person did.

    Args:
        store: Keeps every file of it.
        folder: The bundle.

    Returns:
        Whether it is in service now and was not before.

    Raises:
        InputError: When it is no whole bundle.
    """
    manifest = open_bundle(folder)
    verdict, name = manifest["verdict"], manifest["name"]
    if verdict is None or verdict["outcome"] != Outcome.PASS:
        return False
    releases = history(store, name)
    current = releases[-1].bundle if releases else ""
    if manifest["bundle"] in {current, *_set_aside(releases)}:
        return False
    for file in (*named_files(manifest), MANIFEST):
        store.put(folder / file, Path(file).name)
    signature = folder / SIGNATURE
    signed = store.put(signature, SIGNATURE).sha256 if signature.exists() else ""
    kept = file_digest(folder / MANIFEST)
    _enter(store, name, Release(manifest["bundle"], kept, signed, PASSED))
    return True


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
    beside = output.with_name(f".{output.name}.{uuid.uuid4().hex}.part")
    try:
        lay_out(store, release.manifest, beside)
        if release.signature:
            store.get(Artifact(SIGNATURE, release.signature, 0), beside)
        open_bundle(beside)
        swap(beside, output)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return release


def kept_alive(store: Store) -> set[str]:
    """The sha256 of every object that a release needs."""
    alive: set[str] = set()
    for name in names(store):
        for release in history(store, name):
            alive |= {release.manifest, release.signature} - {""}
            alive |= set(named_files(json.loads(store.read(release.manifest))).values())
    return alive


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
    """Bundles that were rolled back from and not put into service since."""
    aside: set[str] = set()
    for release in releases:
        aside.discard(release.bundle)
        if release.because.startswith(INSTEAD):
            aside.add(release.because.removeprefix(INSTEAD))
    return aside


def _enter(store: Store, name: str, release: Release) -> None:
    entry = asdict(release)
    del entry["when"]
    store.append(f"{KIND}/{name}", entry)
