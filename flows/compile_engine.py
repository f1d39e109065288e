"""The flow `compile-engine`: build an ordered engine on this device. It needs no torch.

prefect worker start --pool orin-nano-8 --limit 1
"""

import shutil
import time
from pathlib import Path
from typing import Any

from prefect import State, flow, get_run_logger, task
from prefect.states import Completed, Failed

from base.errors import InputError
from base.file_lock import folder_lock
from flows.support.retry_policy import RETRIES
from pipeline.bundle.unpacking import unpack
from pipeline.releases.awaited_engines import release_awaited
from pipeline.releases.engine_orders import ENGINE_STEP, store_result
from pipeline.store.store import Store
from targets.bundle.bundle_files import BundleError
from targets.catalogue.catalogue import UnknownTargetError, find_target
from targets.catalogue.device_detection import NoDeviceError
from targets.cpu.parity import ParityError
from targets.on_device.build_environment import build_environment
from targets.on_device.compile_bundle import BuildRequest, NotReadyError, compile_bundle
from targets.tensorrt.diagnosis.failure import BuildError
from targets.tensorrt.options import UnsupportedError

WORK_FOLDER = Path.home() / ".cache" / "datafree-edge" / "built"
"""Folder of the orders in progress. A retry reuses what an earlier attempt has built there."""

KEEP_DAYS = 7
"""Time for which a failed order is kept, for retries and for inspection."""

LOG_TAIL = 4000
"""Characters of a failed build's log that are shown on the run's page."""

USER_ERRORS = (
    *(BuildError, NotReadyError, ParityError, NoDeviceError),
    *(UnknownTargetError, UnsupportedError, BundleError, InputError),
)
"""Errors whose message tells the user what to fix."""


@flow(name="compile-engine", persist_result=False, timeout_seconds=3 * 3600)
def compile_engine(
    store: str, order: str, key: str, target: str, dla_core: int | None = None
) -> State[Any]:
    """Fetch an order, build its engine on this device, and put the result into the store.

    If the run that ordered the engine has ended without it, its bundle is now released for the
    target, provided that the engine has passed.

    Args:
        store: Folder or URL of the store, as this device reaches it.
        order: The order's sha256.
        key: Cache key of the result.
        target: Name of this device in the catalogue.
        dla_core: The deep-learning accelerator to build for; None for the GPU.

    Returns:
        Completed once the result is in the store, else Failed with a message of one line.
    """
    log = get_run_logger()
    folder = WORK_FOLDER / order[:16]
    try:
        with folder_lock(folder, log.info):
            if _is_built(store, key, target):
                _release(store, key)
                return Completed(message=f"{target}: engine reused, the device has not changed")
            _fetch(store, order, folder)
            place = _build(folder, target, dla_core)
            _send(store, key, place)
            _release(store, key)
            _delete_finished(folder)
    except USER_ERRORS as error:
        for path in sorted(folder.glob("built/*/build.*.log")):
            log.error(f"{path}:\n{path.read_text(errors='replace')[-LOG_TAIL:]}")
        return Failed(message=f"{target}: {error}")
    except OSError as error:
        return Failed(message=f"{target}: {error.strerror or error} ({error.filename or 'store'})")
    return Completed(message=f"{target}: built")


@task(name="check", persist_result=False, **RETRIES)
def _is_built(store: str, key: str, target: str) -> bool:
    """Return whether the store has the result of this same device in its present state."""
    known, here = Store(store).recall(ENGINE_STEP, key), build_environment(find_target(target))
    return known is not None and known.notes.get("machine") == here and not here["untold"]


@task(name="fetch", persist_result=False, **RETRIES)
def _fetch(store: str, order: str, folder: Path) -> None:
    unpack(Store(store), order, folder)


@task(name="build", persist_result=False, **RETRIES)
def _build(folder: Path, target: str, dla_core: int | None) -> Path:
    wanted = BuildRequest(dla_core=dla_core)
    return compile_bundle(folder, find_target(target), wanted, get_run_logger().info)


@task(name="send", persist_result=False, **RETRIES)
def _send(store: str, key: str, place: Path) -> None:
    store_result(Store(store), key, place)


@task(name="release", persist_result=False, **RETRIES)
def _release(store: str, key: str) -> None:
    """Release the bundles that wait for this engine, if the runs that ordered it have ended."""
    for released in release_awaited(Store(store), key):
        get_run_logger().info(f"{released}: released")


def _delete_finished(finished: Path) -> None:
    """Delete the folder of a finished order, and those of failed orders older than KEEP_DAYS."""
    oldest = time.time() - KEEP_DAYS * 24 * 3600
    for folder in WORK_FOLDER.iterdir():
        if folder.is_dir() and (folder == finished or folder.stat().st_mtime < oldest):
            shutil.rmtree(folder, ignore_errors=True)
