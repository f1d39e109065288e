"""Open a bundle and check its files against its manifest."""

import json
from pathlib import Path
from typing import Any

from base.file_digest import file_digest
from base.untrusted_files import PARSE_ERRORS, is_inside

Manifest = dict[str, Any]
"""The parsed content of manifest.json."""

MANIFEST, SIGNATURE, REPORT_PAGE = "manifest.json", "manifest.sig", "report.html"


class BundleError(ValueError):
    """A folder is not a bundle, or a damaged one."""


def named_files(manifest: Manifest) -> dict[str, str]:
    """Return the SHA-256 of every file that a manifest lists, including the report.

    Raises:
        One of PARSE_ERRORS: If the manifest is malformed.
    """
    files = {str(name): str(sha256) for name, sha256 in manifest["files"].items()}
    return files | ({REPORT_PAGE: str(manifest["report"])} if manifest.get("report") else {})


def open_bundle(folder: Path) -> Manifest:
    """Read a bundle's manifest and check every listed file.

    Raises:
        BundleError: If it is not a bundle, or a file is missing, changed or outside the folder.
    """
    try:
        manifest: Manifest = json.loads((folder / MANIFEST).read_text())
        files = named_files(manifest)
    except (OSError, *PARSE_ERRORS):
        raise BundleError(
            f"{folder}: not a bundle (its manifest.json is missing or damaged)"
        ) from None
    for name, sha256 in files.items():
        path = folder / name
        if not is_inside(folder, name):
            raise BundleError(f"{folder}: the manifest names a file outside the bundle: {name!r}")
        if not path.is_file():
            raise BundleError(f"{folder}: {name} is missing; run the pipeline again")
        if file_digest(path) != sha256:
            raise BundleError(
                f"{folder}: {name} does not match its digest in the manifest; do not use it"
            )
    return manifest
