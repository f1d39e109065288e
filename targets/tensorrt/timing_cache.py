"""TensorRT's timing cache: a later build reuses kernel timings and takes seconds, not minutes.

There is one file per device, TensorRT, CUDA and power mode. All bundles share it, because a new
student has many layers of the previous one.
"""

import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from base.durable_files import replace_durably
from base.notify import Notify
from targets.catalogue.device_detection import Device


@contextmanager
def timing_cache(
    device: Device, version: tuple[int, ...], scratch: Path, notify: Notify
) -> Iterator[Path]:
    """Give a build a copy of the cache, and save the updated copy if the build succeeds.

    If two builds end at the same time, the last one's cache is saved. A device whose CUDA version
    or power mode is unknown starts without a cache, since they may have changed.

    Args:
        device: This device.
        version: TensorRT's version.
        scratch: Path of the copy; it is deleted afterwards.
        notify: Receives a warning if the cache cannot be saved.

    Yields:
        The path of the copy.
    """
    saved = None if device.unknown_facts else _cache_path(device, version)
    try:
        if saved is not None and saved.exists():
            shutil.copyfile(saved, scratch)
        yield scratch
        if saved is not None and scratch.exists():
            _save(scratch, saved, notify)
    finally:
        scratch.unlink(missing_ok=True)


def _cache_path(device: Device, version: tuple[int, ...]) -> Path:
    number = ".".join(map(str, version))
    facts = [device.target, f"tensorrt-{number}", f"cuda-{device.cuda}", device.power_mode]
    name = "-".join(re.sub(r"[^\w.]+", "-", fact) for fact in facts if fact)
    return Path.home() / ".cache" / "datafree-edge" / "timing" / f"{name}.cache"


def _save(updated: Path, saved: Path, notify: Notify) -> None:
    temporary = saved.with_name(f".{saved.name}.{uuid.uuid4().hex}.part")
    try:
        saved.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(updated, temporary)
        replace_durably(temporary, saved)
    except OSError as error:
        # The engine is complete; only the next build is slower.
        notify(f"warning: the timing cache could not be saved: {saved} ({error.strerror})")
    finally:
        # A file that cannot be written may not be removable either.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
