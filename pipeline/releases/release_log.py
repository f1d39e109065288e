"""The logs of releases, in the store: one for each name, and one for each of its engines.

The log NAME has the bundles for the CPUs of a run. The log NAME@TARGET has the bundles with an
engine for a target that is built on its own device. A name has no @, so the first one separates.
"""

import json
import re
from dataclasses import asdict, astuple, dataclass
from datetime import datetime

from base.errors import InputError
from base.untrusted_files import PARSE_ERRORS
from pipeline.store.store import STAMP, Store
from targets.bundle.bundle_files import Manifest, named_files

LOG_KIND = "service"
"""Kind of the logs in the store, under the name that stores in use have."""

PASSED, INSTEAD_OF = "passed", "instead of "
"""Values of `Release.because`; the second is followed by the digest of a bundle."""


@dataclass(frozen=True)
class Release:
    """An entry of a release log: a bundle that is or was the release of its name.

    Attributes:
        bundle: The bundle's digest.
        student: The digest of its graphs. A bundle with a new engine has the same student.
        manifest: sha256 of its manifest in the store.
        signature: sha256 of its signature in the store; "" if it is not signed.
        because: "passed", or "instead of DIGEST" after rolling back from that bundle.
        when: Time of the release in UTC, in the format STAMP.

    Raises:
        ValueError, TypeError: If a field is malformed. Fields are read from the store.
    """

    bundle: str
    student: str
    manifest: str
    signature: str
    because: str
    when: str = ""

    def __post_init__(self) -> None:
        if not all(isinstance(value, str) for value in astuple(self)):
            raise TypeError("every field of a release is a string")
        replaced = self.bundle if self.because == PASSED else self.because.removeprefix(INSTEAD_OF)
        signature = self.signature or self.bundle
        for sha256 in (self.bundle, self.student, self.manifest, signature, replaced):
            if not re.fullmatch("[0-9a-f]{64}", sha256):
                raise ValueError(f"{sha256!r} is no sha256")
        if self.when != "":
            datetime.strptime(self.when, STAMP)


def log_of(name: str, target: str) -> str:
    """Return the name of the log of a target that is built on its own device."""
    return f"{name}@{target}"


def chosen_log(store: Store, name: str, target: str | None) -> str:
    """Return the name of the log that a person asks for.

    Args:
        store: Holds the logs.
        name: The name of the release.
        target: A target that is built on its own device. If None, the log of the CPUs, or the only
            log of the name.

    Raises:
        InputError: If there is no such log, or several and none for the CPUs.
    """
    logs = [log for log in release_names(store) if log.partition("@")[0] == name]
    wanted = name if target is None else log_of(name, target)
    if wanted in logs or not logs:
        return wanted
    if target is None and len(logs) == 1:
        return logs[0]
    known = ", ".join(log.partition("@")[2] for log in logs if "@" in log) or "none"
    problem = "has no release for" if target else "has several targets and none for"
    raise InputError(
        f"{name}: {problem} {target or 'CPUs'}; use --target with one of: {known}"
        f"{'; or leave out --target for the CPUs' if name in logs else ''}"
    )


def release_history(store: Store, name: str) -> list[Release]:
    """Return the releases of a name, the oldest first; empty if it has none.

    Raises:
        InputError: If an entry of the log is damaged.
    """
    found: list[Release] = []
    for entry in store.entries(f"{LOG_KIND}/{name}"):
        try:
            release = Release(**entry)
        except PARSE_ERRORS:
            raise InputError(
                f"store: an entry of logs/{LOG_KIND}/{name} is damaged; delete it"
            ) from None
        # Two runs that publish the same bundle at once make one release.
        if not found or found[-1].bundle != release.bundle:
            found.append(release)
    return found


def require_history(store: Store, name: str) -> list[Release]:
    """Return the releases of a name that must have one, the oldest first.

    Raises:
        InputError: If the name has no release.
    """
    found = release_history(store, name)
    if not found:
        raise InputError(
            f"{name}: no release has this name; list the names with: datafree-edge releases "
            "(a bundle is released when it passes in a Prefect flow run)"
        )
    return found


def release_names(store: Store) -> list[str]:
    """Return the names of all logs: NAME, or NAME@TARGET."""
    return store.logs(LOG_KIND)


def append_release(store: Store, name: str, release: Release) -> None:
    """Make a bundle the current release of a name."""
    entry = asdict(release)
    del entry["when"]  # The log adds the time.
    store.append(f"{LOG_KIND}/{name}", entry)


def manifest_of(store: Store, release: Release) -> Manifest:
    """Return a release's manifest.

    Raises:
        InputError: If it is missing or damaged.
    """
    try:
        manifest: Manifest = json.loads(store.read(release.manifest))
        named_files(manifest)
    except PARSE_ERRORS:
        raise InputError(
            f"store: the object {release.manifest} is no manifest of a bundle; run again"
        ) from None
    return manifest


def objects_in_use(store: Store) -> set[str]:
    """Return the sha256 of every object that a current or earlier release needs."""
    in_use: set[str] = set()
    for name in release_names(store):
        for release in release_history(store, name):
            in_use |= {release.manifest, release.signature} - {""}
            in_use |= set(named_files(manifest_of(store, release)).values())
    return in_use
