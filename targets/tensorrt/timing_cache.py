"""What TensorRT timed here, kept for the next build: seconds in place of minutes.

One file for each device, TensorRT, CUDA and power mode, and for all bundles: a new student has many
of the old one's layers.
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
    """Lend a copy to a build, and keep what the build made of it when that succeeds.

    Of two builds that end at once the last one's timings are kept: the other's are lost, not mixed.
    A device that does not tell its CUDA or power mode starts cold: they may have been others.

    Args:
        device: This device.
        version: TensorRT's.
        scratch: Where the copy goes; it is gone afterwards.
        notify: Where to say that nothing could be kept.
    """
    kept = None if device.unknown_facts else _place(device, version)
    try:
        if kept is not None and kept.exists():
            shutil.copyfile(kept, scratch)
        yield scratch
        if kept is not None and scratch.exists():
            _keep(scratch, kept, notify)
    finally:
        scratch.unlink(missing_ok=True)


def _place(device: Device, version: tuple[int, ...]) -> Path:
    number = ".".join(map(str, version))
    facts = [device.target, f"tensorrt-{number}", f"cuda-{device.cuda}", device.power_mode]
    name = "-".join(re.sub(r"[^\w.]+", "-", fact) for fact in facts if fact)
    return Path.home() / ".cache" / "datafree-edge" / "timing" / f"{name}.cache"


def _keep(made: Path, kept: Path, notify: Notify) -> None:
    beside = kept.with_name(f".{kept.name}.{uuid.uuid4().hex}.part")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(made, beside)
        replace_durably(beside, kept)
    except OSError as error:
        # The engine is there all the same; only the next build is slower.
        notify(f"warning: the timings of this build could not be kept in {kept} ({error.strerror})")
    finally:
        # Where it could not be written it may not be removable either.
        with suppress(OSError):
            beside.unlink(missing_ok=True)
