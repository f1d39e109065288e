"""A bundle out of the store: a manifest by its digest, and every file that it names."""

import json
from pathlib import Path, PurePosixPath

from base.errors import InputError
from base.untrusted_files import PARSE_ERRORS, is_inside
from pipeline.store.step_record import Artifact
from pipeline.store.store import Store
from targets.bundle.bundle_files import MANIFEST, named_files


def lay_out(store: Store, sha256: str, folder: Path) -> None:
    """Lay out a manifest of the store with all its files, as a bundle is.

    Args:
        store: Where they lie.
        sha256: Of the manifest.
        folder: Where to; what is there already and the same is not fetched again.

    Raises:
        InputError: When something is missing, damaged, or meant for a place outside the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manifest = store.get(Artifact(MANIFEST, sha256, 0), folder)
    try:
        files = named_files(json.loads(manifest.read_text()))
    except PARSE_ERRORS:
        raise InputError(f"manifest {sha256[:12]}: names no files") from None
    folders = {str(above) for name in files for above in PurePosixPath(name).parents}
    if both := sorted(folders & files.keys()):
        raise InputError(f"manifest {sha256[:12]}: has {both[0]!r} for a file and for a folder")
    for name, digest in files.items():
        place = folder / name
        if not is_inside(folder, name):
            raise InputError(f"manifest {sha256[:12]}: names a file outside its folder: {name!r}")
        place.parent.mkdir(parents=True, exist_ok=True)
        store.get(Artifact(place.name, digest, 0), place.parent)
