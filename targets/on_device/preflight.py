"""Check before a build whether the device is ready, and what to fix if it is not."""

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

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
from targets.catalogue.target_types import JetsonTarget
from targets.tensorrt.builders.bindings import VERSION_SCRIPT, parse_version
from targets.tensorrt.builders.trtexec import find_trtexec
from targets.tensorrt.diagnosis.diagnose import diagnose
from targets.tensorrt.diagnosis.failure import BuildError

MIN_FREE_MEMORY_GB = 1.5
"""Memory that the build of a small network needs; CPU and GPU share it."""

MIN_FREE_DISK_GB = 1.0

ALWAYS_REBUILT = "every build starts from scratch, because a change would go unnoticed"

ROOT = Path("/")


@dataclass(frozen=True)
class Check:
    """The result of one check.

    Attributes:
        name: What was checked.
        state: "ok", "warning" (a build works, its timings may be off) or "error".
        found: What was found.
        remedy: What to do if it is not ok.
    """

    name: str
    state: str
    found: str
    remedy: str = ""

    def __str__(self) -> str:
        """Return the result as one line."""
        rest = "" if self.state == "ok" else f"; {self.remedy}"
        return f"{self.state:<7} {self.name}: {self.found}{rest}"


def preflight(target: JetsonTarget | None, folder: Path, root: Path = ROOT) -> list[Check]:
    """Check everything that a build needs.

    Args:
        target: The Jetson that this machine should be; None for the machine's own GPU.
        folder: Where the engine will be written.
        root: Root of the file system to read.
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
    """Return whether a build can start."""
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
            f"use --target {device.target}; an engine is optimized for one module",
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
    """Check trtexec and the Python bindings, and report which of them builds.

    A missing library in the bindings is an error. Bindings of another version than trtexec do not
    build, because no other program on this device could open their engines.
    """
    try:
        trtexec = find_trtexec()
    except BuildError as error:
        checks = [Check("trtexec", "error", error.failure.diagnosis, error.failure.remedy)]
        return [*checks, *_missing_library(command_output((sys.executable, "-c", VERSION_SCRIPT)))]
    number = ".".join(map(str, trtexec.version))
    checks = [Check("trtexec", "ok", f"TensorRT {number}, {trtexec.path}")]
    output = command_output((sys.executable, "-c", VERSION_SCRIPT))
    version = parse_version(output)
    missing = _missing_library(output)
    if missing:
        return [*checks, *missing]
    if version is None:
        return [*checks, Check("tensorrt", "ok", "no Python bindings; trtexec builds")]
    imported = ".".join(map(str, version))
    if version != trtexec.version:
        found = f"Python imports {imported}, trtexec is {number}: trtexec builds"
        remedy = f"to load engines in this Python, install the system's TensorRT {number} in it"
        return [*checks, Check("tensorrt", "warning", found, remedy)]
    return [*checks, Check("tensorrt", "ok", f"the Python bindings {imported} build")]


def _missing_library(output: str) -> list[Check]:
    """Return an error if the import of TensorRT failed for lack of the DLA library."""
    failure = diagnose(output, 1, "the output of `import tensorrt`")
    if failure.kind != "no-dla-library":
        return []
    return [Check("tensorrt", "error", failure.diagnosis, failure.remedy)]


def _power_mode(target: JetsonTarget) -> Check:
    mode = power_mode()
    if mode == UNKNOWN:
        remedy = f"run as root; until then {ALWAYS_REBUILT}"
        return Check("power mode", "warning", "nvpmodel does not report it", remedy)
    fastest = target.modes[0].name
    if mode != fastest:
        remedy = f"timings are valid for {mode} only; the fastest is {fastest} (nvpmodel -m)"
        return Check("power mode", "warning", mode, remedy)
    return Check("power mode", "ok", mode)


def _cuda(root: Path) -> Check:
    version = cuda_version(root)
    if version == UNKNOWN:
        remedy = f"install the CUDA toolkit; until then {ALWAYS_REBUILT}"
        return Check("cuda", "warning", "no version in /usr/local/cuda", remedy)
    return Check("cuda", "ok", version)


def _clocks() -> Check:
    """Check that the GPU clock is locked: minimum, maximum and current frequency are equal."""
    output = command_output(("jetson_clocks", "--show"))
    pattern = r"^\S*gpu\S*\s+MinFreq=(\d+)\s+MaxFreq=(\d+)\s+CurrentFreq=(\d+)"
    found = re.search(pattern, output, re.MULTILINE | re.IGNORECASE)
    if not found:
        return Check("clocks", "warning", "jetson_clocks does not report them", "run it as root")
    if len(set(found.groups())) > 1:
        low, high, current = (int(frequency) // 10**6 for frequency in found.groups())
        state = f"the GPU runs at {current} MHz, range {low} to {high} MHz"
        return Check("clocks", "warning", state, "lock the clocks: sudo jetson_clocks")
    return Check("clocks", "ok", f"the GPU is locked at {int(found[2]) // 10**6} MHz")


def _memory(root: Path) -> Check:
    text = (root / "proc/meminfo").read_text()
    found = re.search(r"MemAvailable:\s+(\d+) kB", text)
    free = int(found[1]) * 1024 / 1e9 if found else 0.0
    state = "ok" if free >= MIN_FREE_MEMORY_GB else "warning"
    remedy = f"a build needs {MIN_FREE_MEMORY_GB} GB: stop other programs"
    return Check("memory", state, f"{free:.1f} GB free", remedy)


def _disk(folder: Path) -> Check:
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(existing).free / 1e9
    state = "ok" if free >= MIN_FREE_DISK_GB else "error"
    return Check("disk", state, f"{free:.1f} GB free", f"{folder} needs {MIN_FREE_DISK_GB} GB")
