"""The flow `compile-engine`: what a device's worker does with an order. It needs no torch.

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
from flows.support.retry_policy import TRIES
from pipeline.bundle.unpack import lay_out
from pipeline.releases.engine_orders import STEP, send
from pipeline.store.store import Store
from targets.bundle.bundle_files import BundleError
from targets.catalogue.catalogue import UnknownTargetError, find_target
from targets.catalogue.device_detection import NoDeviceError
from targets.cpu.compile import ParityError
from targets.on_device.compile_bundle import (
    BuildRequest,
    NotReadyError,
    build_environment,
    compile_bundle,
)
from targets.tensorrt.diagnosis.failures import BuildError
from targets.tensorrt.options import UnsupportedError

WORK = Path.home() / ".cache" / "datafree-edge" / "built"
"""Where orders lie while they are worked on; a second try finds what the first has built."""

DAYS = 7
"""An order that came to nothing is kept so long, for another try and for whoever looks why."""

TAIL = 4000
"""Letters of a build's log that a run's page shows when it fails."""

FINAL = (
    *(BuildError, NotReadyError, ParityError, NoDeviceError),
    *(UnknownTargetError, UnsupportedError, BundleError, InputError),
)
"""Failures that a person must look at; what is told is their one line."""


@flow(name="compile-engine", persist_result=False, timeout_seconds=3 * 3600)
def compile_engine(
    store: str, order: str, key: str, target: str, dla_core: int | None = None
) -> State[Any]:
    """Fetch an order, build what it asks for on this machine, and send it back.

    Args:
        store: Folder or URL of the store, as this machine reaches it.
        order: The order's sha256.
        key: Under which the result is recorded.
        target: What this machine is to be.
        dla_core: The deep-learning accelerator to build for; None for the GPU.

    Returns:
        Completed once the store holds the result; Failed, with one line, when there is none.
    """
    log = get_run_logger()
    folder = WORK / order[:16]
    try:
        with folder_lock(folder, log.info):
            if _is_built(store, key, target):
                return Completed(message=f"{target}: built before, nothing changed")
            _fetch(store, order, folder)
            place = _build(folder, target, dla_core)
            _send(store, key, place)
            _tidy(folder)
    except FINAL as error:
        for path in sorted(folder.glob("built/*/build.*.log")):
            log.error(f"{path}:\n{path.read_text(errors='replace')[-TAIL:]}")
        return Failed(message=f"{target}: {error}")
    except OSError as error:
        return Failed(message=f"{target}: {error.strerror or error} ({error.filename or 'store'})")
    return Completed(message=f"{target}: built")


@task(name="look", persist_result=False, **TRIES)
def _is_built(store: str, key: str, target: str) -> bool:
    """Whether the store has what this very machine would build again, as it is today."""
    known, here = Store(store).recall(STEP, key), build_environment(find_target(target))
    return known is not None and known.notes.get("machine") == here and not here["untold"]


@task(name="fetch", persist_result=False, **TRIES)
def _fetch(store: str, order: str, folder: Path) -> None:
    lay_out(Store(store), order, folder)


@task(name="build", persist_result=False, **TRIES)
def _build(folder: Path, target: str, dla_core: int | None) -> Path:
    wanted = BuildRequest(dla_core=dla_core)
    return compile_bundle(folder, find_target(target), wanted, get_run_logger().info)


@task(name="send", persist_result=False, **TRIES)
def _send(store: str, key: str, place: Path) -> None:
    send(Store(store), key, place)


def _tidy(done: Path) -> None:
    """Delete an order that is in the store now, and those that long ago came to nothing."""
    long_ago = time.time() - DAYS * 24 * 3600
    for folder in WORK.iterdir():
        if folder.is_dir() and (folder == done or folder.stat().st_mtime < long_ago):
            shutil.rmtree(folder, ignore_errors=True)
