"""Release a bundle for a target when its device has built the engine, after the run has ended.

A run that ends with a pending engine leaves an entry in the store under the key of the order. The
device that builds the engine later reads it. This module imports neither torch nor Prefect.
"""

import json
import tempfile
from pathlib import Path

from base.errors import InputError
from base.untrusted_files import PARSE_ERRORS
from pipeline.releases.engine_orders import ENGINE_STEP
from pipeline.releases.publishing import PublishResult, change_of, passed_engines
from pipeline.releases.release_log import (
    PASSED,
    Release,
    append_release,
    log_of,
    manifest_of,
    release_history,
)
from pipeline.store.step_record import StepRecord, digest
from pipeline.store.store import Store
from targets.bundle.bundle_files import MANIFEST, Manifest

AWAITED_KIND = "awaited"
"""Kind of the logs in the store with the bundles that wait for an engine, by the order's key."""


def await_engines(store: Store, manifest: Manifest) -> None:
    """Leave an entry for every pending engine of a bundle that is released for the CPUs.

    Args:
        store: Holds the releases, and receives the entries.
        manifest: The bundle's manifest.
    """
    name = manifest["name"]
    releases = release_history(store, name)
    if not releases or releases[-1].bundle != manifest["bundle"]:
        return
    for target, entry in manifest["engines"].items():
        if entry.get("engine") == "pending":
            awaited = {"name": name, "target": target, "bundle": manifest["bundle"]}
            store.append(f"{AWAITED_KIND}/{entry['order']}", awaited)


def release_awaited(store: Store, key: str) -> list[str]:
    """Release the bundles that wait for an engine, if the engine passed on its device.

    A released bundle is one that waits, with the engine and without the report, which calls the
    engine pending. A signed bundle is left to the next run, because a device has no private key. So
    is a bundle that is no longer the release for the CPUs, for example after a roll-back, and one
    that began to wait only after the engine arrived.

    Args:
        store: Holds the engine and the releases.
        key: The order's key.

    Returns:
        The names of the logs that have a new release.

    Raises:
        InputError: If the store is damaged.
    """
    record = store.recall(ENGINE_STEP, key)
    if record is None:
        return []
    try:
        # Runs of several names can order the same engine; the last bundle of each name counts.
        waiting = {
            (str(entry["name"]), str(entry["target"])): str(entry["bundle"])
            for entry in store.entries(f"{AWAITED_KIND}/{key}")
        }
    except PARSE_ERRORS:
        raise InputError(
            f"store: an entry of logs/{AWAITED_KIND}/{key} is damaged; delete it"
        ) from None
    return [
        log_of(name, target)
        for (name, target), bundle in waiting.items()
        if _release_with_engine(store, record, name, target, bundle)
    ]


def _release_with_engine(
    store: Store, record: StepRecord, name: str, target: str, bundle: str
) -> bool:
    """Release a bundle with an engine for its target; return whether that was possible."""
    releases = release_history(store, name)
    if not releases or releases[-1].bundle != bundle or releases[-1].signature:
        return False
    manifest = manifest_of(store, releases[-1])
    files = {f"targets/{target}/{a.name}": a.sha256 for a in record.artifacts.values()}
    manifest["files"] |= files
    manifest["engines"][target] = record.notes
    manifest["bundle"] = digest(manifest["files"])
    manifest.pop("report", None)
    log, student = log_of(name, target), releases[-1].student
    change = change_of(release_history(store, log), manifest["bundle"], student)
    if target not in passed_engines(manifest) or change is not PublishResult.RELEASED:
        return False
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / MANIFEST
        path.write_text(json.dumps(manifest, indent=2) + "\n")
        sha256 = store.put(path, MANIFEST).sha256
    append_release(store, log, Release(manifest["bundle"], student, sha256, "", PASSED))
    return True
