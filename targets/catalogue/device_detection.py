"""What builds an engine here: a Jetson and which target it is, or a machine with a GPU."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from targets.catalogue.catalogue import JetPack, JetsonTarget, jetsons

CAPABILITIES_WITHOUT_INT8 = ("5.0", "5.2", "5.3", "6.0", "6.2")
"""Compute capabilities without the integer dot product that TensorRT's int8 kernels need."""


UNKNOWN = "unknown"
"""A fact that a device does not tell."""

SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")
"""Where commands like nvpmodel lie, which the PATH of a service or of a plain user may lack."""


class NoDeviceError(RuntimeError):
    """This machine is not what an engine was to be built on."""


class NotAJetsonError(NoDeviceError):
    """This machine is no Jetson, or one that the catalogue does not know."""


class NoGpuError(NoDeviceError):
    """This machine has no GPU that NVIDIA's driver knows."""


@dataclass(frozen=True)
class Device:
    """A Jetson or another GPU, as an engine's fingerprint knows it.

    Attributes:
        target: Its name in the catalogue; of a GPU that is no Jetson, its own: "nvidia-l4".
        l4t: Board support package, e.g. "36.4.3"; of another GPU, its driver.
        jetpack: The catalogue's name for that generation of JetPacks; "" without.
        cuda: Version of CUDA; "unknown" where its files do not tell.
        compute_capability: Of the GPU.
        power_mode: As nvpmodel calls it; "" where there is none, "unknown" where it does not tell.
        opset: The highest ONNX opset that its TensorRT reads; None where the parser has to say.
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
        """What an engine depends on and this device does not tell: nobody sees it change."""
        return tuple(name for name in ("cuda", "power_mode") if getattr(self, name) == UNKNOWN)


def this_jetson(root: Path = Path("/")) -> Device:
    """Read what this device is.

    Args:
        root: Where its files are; the commands are those of the machine.

    Raises:
        NotAJetsonError: Saying what is missing.
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
    """Read what GPU this machine has: the first, as CUDA counts them.

    Raises:
        NoGpuError: When the driver tells of none.
    """
    asked = ("nvidia-smi", "--query-gpu=name,compute_cap,driver_version", "--format=csv,noheader")
    lines = command_output(asked).strip().splitlines()
    fields = [field.strip() for field in lines[0].split(",")] if lines else []
    if len(fields) != 3 or not re.fullmatch(r"\d+\.\d+", fields[1]):
        raise NoGpuError("nvidia-smi tells of no GPU; install NVIDIA's driver")
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
    """By the part number in the device tree; the model string names the carrier, not the module."""
    path = root / "proc/device-tree/compatible"
    if not path.exists():
        raise NotAJetsonError("this machine is no Jetson: it has no /proc/device-tree/compatible")
    text = path.read_text()
    parts = set(re.findall(r"p\d{4}-\d{4}", text))
    fitting = [target for target in jetsons() if parts & set(target.parts)]
    if not fitting:
        named = ", ".join(sorted(parts)) or "no part number"
        raise NotAJetsonError(f"the catalogue knows no module of this device ({named})")
    is_super = "-super" in text
    return next((target for target in fitting if target.super_firmware == is_super), fitting[0])


def _l4t(root: Path) -> str:
    path = root / "etc/nv_tegra_release"
    text = path.read_text() if path.exists() else ""
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    if not found:
        raise NotAJetsonError("this Jetson's release is unknown: /etc/nv_tegra_release lacks it")
    return f"{found[1]}.{found[2]}"


def _jetpack(l4t: str, module: JetsonTarget) -> JetPack:
    """The last of the module's JetPacks that is not newer than this release."""
    older = [jetpack for jetpack in module.jetpacks if _numbers(jetpack.l4t) <= _numbers(l4t)]
    if not older:
        raise NotAJetsonError(f"{module.title} with L4T {l4t}: older than any JetPack known here")
    return older[-1]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def cuda_version(root: Path) -> str:
    """From the toolkit's own file; JSON since CUDA 11.1, text before."""
    folder = root / "usr/local/cuda"
    try:
        if (folder / "version.json").exists():
            document = json.loads((folder / "version.json").read_text())
            return str(document["cuda"]["version"])
        return (folder / "version.txt").read_text().split()[-1]
    except (OSError, ValueError, LookupError, TypeError):
        return UNKNOWN


def power_mode() -> str:
    """As nvpmodel calls it; "unknown" where it does not tell."""
    found = re.search(r"NV Power Mode:\s*(\S+)", command_output(("nvpmodel", "-q")))
    return found[1] if found else UNKNOWN


def command_output(command: Sequence[str], timeout_s: float = 30.0) -> str:
    """What a command prints; "" where it is missing, fails or takes too long."""
    places = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS))
    program = shutil.which(command[0], path=places)
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
