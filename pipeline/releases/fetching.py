"""Fetch the current release of a name into a folder."""

import shutil
from pathlib import Path

from base.full_disk import full_disk_named
from pipeline.bundle.folder_swap import hidden_sibling, swap_folder
from pipeline.bundle.opening import check_output, open_bundle
from pipeline.bundle.unpacking import unpack
from pipeline.bundle.writing import OUTPUT_REMEDY
from pipeline.releases.release_log import Release, require_history
from pipeline.store.step_record import Artifact
from pipeline.store.store import Store
from targets.bundle.bundle_files import SIGNATURE


def fetch_release(store: Store, name: str, output: Path) -> Release:
    """Copy the current release of a name into a folder, replacing an earlier bundle there.

    Args:
        store: Holds the release.
        name: The name of the release's log.
        output: The folder to write.

    Raises:
        InputError: If the name has no release, a file is missing or damaged, or `output` holds
            something other than a bundle.
    """
    release, output = require_history(store, name)[-1], output.absolute()
    check_output(output)
    written = hidden_sibling(output, "part")
    try:
        with full_disk_named(output.parent, OUTPUT_REMEDY):
            unpack(store, release.manifest, written)
            if release.signature:
                store.get(Artifact(SIGNATURE, release.signature, 0), written)
            open_bundle(written)
            swap_folder(written, output)
    finally:
        shutil.rmtree(written, ignore_errors=True)
    return release
