"""The Jetson this runs on: model, software, power mode, and which target it is."""

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from targets.catalogue import JetPack, JetsonTarget, jetsons


class NotAJetsonError(RuntimeError):
    """This machine is no Jetson, or one that the catalogue does not know."""


@dataclass(frozen=True)
class Device:
    """A Jetson, as an engine's fingerprint knows it.

    Attributes:
        target: Its name in the catalogue.
        l4t: Board support package, e.g. "36.4.3".
        jetpack: The catalogue's name for that generation of JetPacks.
        cuda: Version of CUDA.
        compute_capability: Of the GPU.
        power_mode: As nvpmodel calls it.
        opset: The highest ONNX opset that its TensorRT reads.
    """

    target: str
    l4t: str
    jetpack: str
    cuda: str
    compute_capability: str
    power_mode: str
    opset: int


def this_device(root: Path = Path("/")) -> Device:
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
        cuda=_cuda(root),
        compute_capability=target.compute_capability,
        power_mode=power_mode(),
        opset=jetpack.opset,
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
    return next((target for target in fitting if target.super_flash == is_super), fitting[0])


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


def _cuda(root: Path) -> str:
    """From the toolkit's own file; JSON since CUDA 11.1, text before."""
    folder = root / "usr/local/cuda"
    if (folder / "version.json").exists():
        document = json.loads((folder / "version.json").read_text())
        return str(document["cuda"]["version"])
    if (folder / "version.txt").exists():
        return (folder / "version.txt").read_text().split()[-1]
    return "unknown"


def power_mode() -> str:
    """As nvpmodel calls it; "unknown" where it does not tell."""
    found = re.search(r"NV Power Mode:\s*(\S+)", printed(("nvpmodel", "-q")))
    return found[1] if found else "unknown"


def printed(command: Sequence[str], seconds: float = 30.0) -> str:
    """What a command prints; "" where it is missing, fails or takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
