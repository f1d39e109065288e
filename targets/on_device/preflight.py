"""Before a build: is this device ready, and if not, what is missing and what helps."""

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from targets.catalogue.catalogue import JetsonTarget
from targets.catalogue.device_detection import (
    UNKNOWN,
    NoGpuError,
    NotAJetsonError,
    command_output,
    cuda_version,
    power_mode,
    this_gpu,
    this_jetson,
)
from targets.tensorrt.builders.bindings import VERSION_SCRIPT, parse_version
from targets.tensorrt.builders.trtexec import find_trtexec
from targets.tensorrt.diagnosis.failures import BuildError, diagnose

FREE_MEMORY_GB = 1.5
"""A build of a small network wants about so much; the GPU shares it with everything else."""

FREE_DISK_GB = 1.0

ALWAYS_REBUILT = "every engine is built again, as nobody sees whether it changed"

ROOT = Path("/")


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: What.
        state: "ok", "warning" (a build will do, its timings may not) or "error".
        found: What was seen.
        remedy: What to do when it is not ok.
    """

    name: str
    state: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        """One line."""
        rest = "" if self.state == "ok" else f"; {self.remedy}"
        return f"{self.state:<7} {self.name}: {self.found}{rest}"


def preflight(target: JetsonTarget | None, folder: Path, root: Path = ROOT) -> list[Check]:
    """Look at everything a build needs.

    Args:
        target: What the device should be; None for the machine's own GPU.
        folder: Where the engine will be written.
        root: Where the system's files are.
    """
    return [
        _gpu() if target is None else _device(target, root),
        *_tensorrt(),
        _cuda(root),
        *([] if target is None else [_power_mode(target), _clocks()]),
        _memory(root),
        _disk(folder),
    ]


def is_ready(checks: list[Check]) -> bool:
    """Whether a build can start."""
    return not any(check.state == "error" for check in checks)


def _device(target: JetsonTarget, root: Path) -> Check:
    try:
        device = this_jetson(root)
    except NotAJetsonError as error:
        return Check("device", "error", str(error), f"run this on a {target.title}")
    if device.target != target.name:
        return Check(
            "device",
            "error",
            f"this is {device.target}, not {target.name}",
            f"use --target {device.target}; engines of one are mistuned on the other",
        )
    return Check("device", "ok", f"{device.target}, L4T {device.l4t}, JetPack {device.jetpack}")


def _gpu() -> Check:
    try:
        gpu = this_gpu()
    except NoGpuError as error:
        found, _, remedy = str(error).partition("; ")
        return Check("gpu", "error", found, remedy)
    return Check(
        "gpu", "ok", f"{gpu.target}, {gpu.l4t}, compute capability {gpu.compute_capability}"
    )


def _tensorrt() -> list[Check]:
    """trtexec, and whether the Python bindings import, which build then.

    A library that they miss is a build's end. Bindings of another version than trtexec do not
    build: what they made would open in nothing else on this device.
    """
    try:
        trtexec = find_trtexec()
    except BuildError as error:
        checks = [Check("trtexec", "error", error.failure.diagnosis, error.failure.remedy)]
        return [*checks, *_library(command_output((sys.executable, "-c", VERSION_SCRIPT)))]
    number = ".".join(map(str, trtexec.version))
    checks = [Check("trtexec", "ok", f"TensorRT {number}, {trtexec.path}")]
    said = command_output((sys.executable, "-c", VERSION_SCRIPT))
    version = parse_version(said)
    missing = _library(said)
    if missing:
        return [*checks, *missing]
    if version is None:
        return [*checks, Check("tensorrt", "ok", "Python does not import it; trtexec builds")]
    own = ".".join(map(str, version))
    if version != trtexec.version:
        found = f"Python imports {own}, trtexec is {number}: trtexec builds"
        remedy = f"to load engines in this Python, give it the system's TensorRT {number}"
        return [*checks, Check("tensorrt", "warning", found, remedy)]
    return [*checks, Check("tensorrt", "ok", f"Python imports {own}, which builds")]


def _library(said: str) -> list[Check]:
    """The library that an import of TensorRT missed, if that was all it missed."""
    failure = diagnose(said, 1, "what `import tensorrt` says")
    if failure.kind != "no-dla-library":
        return []
    return [Check("tensorrt", "error", failure.diagnosis, failure.remedy)]


def _power_mode(target: JetsonTarget) -> Check:
    mode = power_mode()
    if mode == UNKNOWN:
        remedy = f"run as root; until then {ALWAYS_REBUILT}"
        return Check("power mode", "warning", "nvpmodel does not tell", remedy)
    fastest = target.modes[0].name
    if mode != fastest:
        remedy = f"timings will be those of {mode}; the fastest is {fastest} (nvpmodel -m)"
        return Check("power mode", "warning", mode, remedy)
    return Check("power mode", "ok", mode)


def _cuda(root: Path) -> Check:
    version = cuda_version(root)
    if version == UNKNOWN:
        remedy = f"install CUDA's toolkit; until then {ALWAYS_REBUILT}"
        return Check("cuda", "warning", "/usr/local/cuda does not tell its version", remedy)
    return Check("cuda", "ok", version)


def _clocks() -> Check:
    """The GPU's clock is held when its least, greatest and present rate are one."""
    said = command_output(("jetson_clocks", "--show"))
    pattern = r"^\S*gpu\S*\s+MinFreq=(\d+)\s+MaxFreq=(\d+)\s+CurrentFreq=(\d+)"
    found = re.search(pattern, said, re.MULTILINE | re.IGNORECASE)
    if not found:
        return Check("clocks", "warning", "jetson_clocks does not tell", "run it as root")
    if len(set(found.groups())) > 1:
        megahertz = [int(rate) // 10**6 for rate in found.groups()]
        seen = f"the GPU runs at {megahertz[2]} of {megahertz[0]} to {megahertz[1]} MHz"
        return Check("clocks", "warning", seen, "hold them: sudo jetson_clocks")
    return Check("clocks", "ok", f"the GPU is held at {int(found[2]) // 10**6} MHz")


def _memory(root: Path) -> Check:
    text = (root / "proc/meminfo").read_text()
    found = re.search(r"MemAvailable:\s+(\d+) kB", text)
    free = int(found[1]) * 1024 / 1e9 if found else 0.0
    state = "ok" if free >= FREE_MEMORY_GB else "warning"
    return Check(
        "memory", state, f"{free:.1f} GB free", f"a build wants {FREE_MEMORY_GB} GB: stop what runs"
    )


def _disk(folder: Path) -> Check:
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    free = shutil.disk_usage(existing).free / 1e9
    state = "ok" if free >= FREE_DISK_GB else "error"
    return Check("disk", state, f"{free:.1f} GB free", f"{folder} needs {FREE_DISK_GB} GB")
