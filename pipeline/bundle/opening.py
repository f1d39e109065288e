"""Open a bundle that a run has written, and check the folder for a new one."""

import uuid
from pathlib import Path

from base.errors import InputError
from pipeline.bundle.folder_swap import restore_interrupted_swap
from targets.bundle import bundle_files
from targets.bundle.bundle_files import MANIFEST, Manifest

REQUIRED_KEYS: dict[str, type | tuple[type, ...]] = {
    **{"name": str, "bundle": str},
    **dict.fromkeys(("run", "teacher", "targets", "engines"), dict),
    "verdict": (dict, type(None)),
}
"""Keys of the manifest of a run's bundle, besides `files`, with the types of their values."""

BY_TARGET = ("targets", "engines")
"""Those of them that have an object for each target."""


def open_bundle(folder: Path) -> Manifest:
    """Read a bundle's manifest and check every file against it.

    Returns:
        The manifest. It has all `REQUIRED_KEYS`.

    Raises:
        InputError: If the folder holds no bundle of a run, or a file is missing, changed or outside
            the folder.
    """
    restore_interrupted_swap(folder)
    try:
        manifest = bundle_files.open_bundle(folder)
    except bundle_files.BundleError as error:
        raise InputError(str(error)) from None
    for name, kind in REQUIRED_KEYS.items():
        valid = name in manifest and isinstance(manifest[name], kind)
        if valid and name in BY_TARGET:
            valid = all(isinstance(entry, dict) for entry in manifest[name].values())
        if not valid:
            raise InputError(
                f"{folder}: not a bundle of a run, or of another version of datafree-edge: its "
                f"manifest has no valid {name!r}; run again"
            )
    return manifest


def check_output(output: Path) -> None:
    """Check that a bundle can be written to a folder, before any work is done.

    Raises:
        InputError: If the folder cannot be written, or holds something other than a bundle.
    """
    try:
        # No folder is left behind by a check.
        parent = next(folder for folder in output.absolute().parents if folder.exists())
        probe = parent / f".{uuid.uuid4().hex}.part"
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise InputError(
            f"output {output}: cannot be written ({error.strerror}); "
            "choose another folder with --output"
        ) from None
    restore_interrupted_swap(output)
    empty = output.is_dir() and not any(output.iterdir())
    if output.exists() and not empty and not (output / MANIFEST).is_file():
        raise InputError(
            f"output {output}: exists and is not a bundle; choose another folder with --output"
        )
