"""A bundle as a device sees it: checked against its manifest, file by file."""

import json
from pathlib import Path
from typing import Any

from base.durable_files import file_digest

Manifest = dict[str, Any]

MANIFEST, SIGNATURE, REPORT = "manifest.json", "manifest.sig", "report.html"

MALFORMED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What comes of reading JSON that is none, or that says something else than was meant."""

LARGEST = 4 << 30
"""Bytes that a file of weights or of probes may take, unpacked; a small archive can claim any."""


class BundleError(ValueError):
    """No bundle, or a damaged one."""


def named_files(manifest: Manifest) -> dict[str, str]:
    """The sha256 of every file that a manifest names, the report among them.

    Raises:
        One of MALFORMED: When it names none.
    """
    files = {str(name): str(sha256) for name, sha256 in manifest["files"].items()}
    return files | ({REPORT: str(manifest["report"])} if manifest.get("report") else {})


def lies_in(folder: Path, name: str) -> bool:
    """Whether a printable name is that of a file in a folder, links followed, for any disk."""
    parts = name.split("/")
    if not name.isprintable() or not all(0 < len(part.encode()) < 256 for part in parts):
        return False
    return not {".", ".."} & set(parts) and (folder / name).resolve().is_relative_to(
        folder.resolve()
    )


def open_bundle(folder: Path) -> Manifest:
    """Read a bundle's manifest and check every file against it.

    Raises:
        BundleError: When it is no bundle, or a file is missing, changed or outside the folder.
    """
    try:
        manifest: Manifest = json.loads((folder / MANIFEST).read_text())
        files = named_files(manifest)
    except (OSError, *MALFORMED):
        raise BundleError(
            f"{folder}: no bundle (its manifest.json is missing or damaged)"
        ) from None
    for name, sha256 in files.items():
        path = folder / name
        if not lies_in(folder, name):
            raise BundleError(f"{folder}: the manifest names a file outside the bundle: {name!r}")
        if not path.is_file():
            raise BundleError(f"{folder}: {name} is missing; run again")
        if file_digest(path) != sha256:
            raise BundleError(
                f"{folder}: {name} is not the file the manifest describes; do not use it"
            )
    return manifest
