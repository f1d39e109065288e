"""Detect the device that builds engines here: a Jetson module, or a machine with a GPU."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from targets.catalogue.catalogue import jetsons
from targets.catalogue.target_types import JetPack, JetsonTarget

CAPABILITIES_WITHOUT_INT8 = ("5.0", "5.2", "5.3", "6.0", "6.2")
"""Compute capabilities without the integer dot product that TensorRT's int8 kernels need."""

UNKNOWN = "unknown"
"""The value of a fact that the device does not report."""

SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")
"""Folders of commands such as nvpmodel; they may be missing from the PATH of a service."""


class NoDeviceError(RuntimeError):
    """This machine is not the device that an engine should be built on."""


class NotAJetsonError(NoDeviceError):
    """This machine is not a Jetson, or not one in the catalogue."""


class NoGpuError(NoDeviceError):
    """NVIDIA's driver reports no GPU on this machine."""


@dataclass(frozen=True)
class Device:
    """A Jetson or another GPU, with the facts that an engine's fingerprint needs.

    Attributes:
        target: Its name in the catalogue, or the name of another GPU: "nvidia-l4".
        l4t: Version of the board support package, e.g. "36.4.3"; the driver of another GPU.
        jetpack: Name of its JetPack generation in the catalogue; "" if it is not a Jetson.
        cuda: CUDA version; "unknown" if its files do not contain it.
        compute_capability: Of the GPU.
        power_mode: Its name in nvpmodel; "" if it has none, "unknown" if nvpmodel prints none.
        opset: The highest ONNX opset that its TensorRT reads; None if that is unknown.
        has_int8: Whether TensorRT has int8 kernels for it.
    """

    target: str
    l4t: str
    jetpack: str
    cuda: str
    compute_capability: str
    power_mode: str
    opset: int | None
    has_int8: bool = True

    @property
    def unknown_facts(self) -> tuple[str, ...]:
        """Names of the unknown fields that an engine depends on: changes would go unnoticed."""
        return tuple(name for name in ("cuda", "power_mode") if getattr(self, name) == UNKNOWN)


def this_jetson(root: Path = Path("/")) -> Device:
    """Detect which Jetson this machine is.

    Args:
        root: Root of the file system to read; commands are always those of this machine.

    Raises:
        NotAJetsonError: If it is not a known Jetson; the message names what is missing.
    """
    target, l4t = _target(root), _l4t(root)
    jetpack = _jetpack(l4t, target)
    return Device(
        target=target.name,
        l4t=l4t,
        jetpack=jetpack.name,
        cuda=cuda_version(root),
        compute_capability=target.compute_capability,
        power_mode=power_mode(),
        opset=jetpack.opset,
        has_int8=target.has_int8,
    )


def this_gpu(root: Path = Path("/")) -> Device:
    """Detect this machine's GPU, the first one in CUDA's order.

    Args:
        root: Root of the file system to read.

    Raises:
        NoGpuError: If the driver reports none.
    """
    query = ("nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader")
    lines = command_output(query).strip().splitlines()
    fields = [field.strip() for field in lines[0].split(",")] if lines else []
    if len(fields) != 3 or not re.fullmatch(r"\d+\.\d+", fields[1]):
        raise NoGpuError("nvidia-smi reports no GPU; install NVIDIA's driver")
    name, capability, driver = fields
    return Device(
        target=re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"),
        l4t=f"driver {driver}",
        jetpack="",
        cuda=cuda_version(root),
        compute_capability=capability,
        power_mode="",
        opset=None,
        has_int8=capability not in CAPABILITIES_WITHOUT_INT8,
    )


def _target(root: Path) -> JetsonTarget:
    """Match the part number in the device tree; the model string names only the carrier board."""
    path = root / "proc/device-tree/compatible"
    if not path.exists():
        raise NotAJetsonError(
            "this machine is not a Jetson: /proc/device-tree/compatible is missing"
        )
    text = path.read_text()
    parts = set(re.findall(r"p\d{4}-\d{4}", text))
    matching = [target for target in jetsons() if parts & set(target.part_numbers)]
    if not matching:
        named = ", ".join(sorted(parts)) or "no part number"
        raise NotAJetsonError(f"this Jetson is not in the catalogue ({named})")
    is_super = "-super" in text
    return next((target for target in matching if target.super_firmware == is_super), matching[0])


def _l4t(root: Path) -> str:
    path = root / "etc/nv_tegra_release"
    text = path.read_text() if path.exists() else ""
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    if not found:
        raise NotAJetsonError("the L4T release is unknown: /etc/nv_tegra_release does not name it")
    return f"{found[1]}.{found[2]}"


def _jetpack(l4t: str, module: JetsonTarget) -> JetPack:
    """Return the newest of the module's JetPacks that is not newer than this L4T release."""
    older = [jetpack for jetpack in module.jetpacks if _numbers(jetpack.l4t) <= _numbers(l4t)]
    if not older:
        raise NotAJetsonError(
            f"{module.title} with L4T {l4t}: older than every JetPack in the catalogue"
        )
    return older[-1]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def cuda_version(root: Path) -> str:
    """Return the version in the CUDA toolkit's own file: JSON since 11.1, text before."""
    folder = root / "usr/local/cuda"
    try:
        if (folder / "version.json").exists():
            document = json.loads((folder / "version.json").read_text())
            return str(document["cuda"]["version"])
        return (folder / "version.txt").read_text().split()[-1]
    except (OSError, ValueError, LookupError, TypeError):
        return UNKNOWN


def power_mode() -> str:
    """Return the current power mode as nvpmodel names it, or "unknown"."""
    found = re.search(r"NV Power Mode:\s*(\S+)", command_output(("nvpmodel", "-q")))
    return found[1] if found else UNKNOWN


def command_output(command: Sequence[str], timeout_s: float = 30.0) -> str:
    """Return what a command prints, or "" if it is missing, cannot run or takes too long."""
    folders = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS))
    program = shutil.which(command[0], path=folders)
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
