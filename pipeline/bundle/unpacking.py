"""Unpack a bundle from the store: a manifest, and every file that it names."""

import json
from pathlib import Path, PurePosixPath

from base.errors import InputError
from base.untrusted_files import PARSE_ERRORS, is_inside
from pipeline.store.step_record import Artifact
from pipeline.store.store import Store
from targets.bundle.bundle_files import MANIFEST, named_files


def unpack(store: Store, sha256: str, folder: Path) -> None:
    """Copy a manifest and its files from the store into a folder.

    Args:
        store: Holds manifest and files as objects.
        sha256: The manifest's digest.
        folder: Where to put them. An equal file that is there already is not copied again.

    Raises:
        InputError: If a file is missing, damaged, or named outside the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = store.get(Artifact(MANIFEST, sha256, 0), folder)
    label = f"manifest {sha256[:12]}"
    try:
        files = named_files(json.loads(manifest.read_text()))
    except PARSE_ERRORS:
        raise InputError(
            f"{label}: is no manifest of a bundle: it names no files; run again"
        ) from None
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    if both := sorted(folders & files.keys()):
        raise InputError(f"{label}: names {both[0]!r} both as a file and as a folder; run again")
    for name, digest in files.items():
        path = folder / name
        if not is_inside(folder, name):
            raise InputError(f"{label}: names a file outside its folder: {name!r}; run again")
        path.parent.mkdir(parents=True, exist_ok=True)
        store.get(Artifact(path.name, digest, 0), path.parent)
