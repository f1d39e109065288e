"""A bundle as a device sees it: checked against its manifest, file by file."""

import json
from pathlib import Path
from typing import Any

from targets.durable_files import file_digest

Manifest = dict[str, Any]


class BundleError(ValueError):
    """No bundle, or a damaged one."""


def open_bundle(folder: Path) -> Manifest:
    """Read a bundle's manifest and check every file against it.

    Raises:
        BundleError: When it is no bundle, or a file is missing, changed or outside the folder.
    """
    try:
        manifest: Manifest = json.loads((folder / "manifest.json").read_text())
        files: dict[str, str] = manifest["files"]
    except (OSError, ValueError, KeyError, TypeError):
        raise BundleError(
            f"{folder}: no bundle (its manifest.json is missing or damaged)"
        ) from None
    for name, sha256 in files.items():
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise BundleError(f"{folder}: the manifest names a file outside the bundle: {name}")
        if not path.is_file():
            raise BundleError(f"{folder}: {name} is missing; run again")
        if file_digest(path) != sha256:
            raise BundleError(f"{folder}: {name} is not the file the manifest describes; run again")
    return manifest
