"""The Jetson this runs on: model, software, power mode, and which target it is."""

import json
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from targets.catalogue import JetsonTarget, all_targets, table


class NotAJetsonError(RuntimeError):
    """This machine is no Jetson, or one that the catalogue does not know."""


@dataclass(frozen=True)
class Device:
    """A Jetson, as an engine's fingerprint knows it.

    Attributes:
        model: What the device tree calls it.
        target: Its name in the catalogue.
        l4t: Board support package, e.g. "36.4.3".
        jetpack: The catalogue's name for that generation of JetPacks.
        cuda: Version of CUDA.
        compute_capability: Of the GPU.
        power_mode: As nvpmodel calls it.
        memory_gb: In all.
    """

    model: str
    target: str
    l4t: str
    jetpack: str
    cuda: str
    compute_capability: str
    power_mode: str
    memory_gb: float


def this_device(root: Path = Path("/")) -> Device:
    """Read what this device is.

    Args:
        root: Where its files are; the commands are those of the machine.

    Raises:
        NotAJetsonError: Saying what is missing.
    """
    model, l4t, memory = _model(root), _l4t(root), _memory_gb(root)
    module = _module(model, memory)
    return Device(
        model=model,
        target=module.name,
        l4t=l4t,
        jetpack=_jetpack(l4t, module),
        cuda=_cuda(root),
        compute_capability=module.compute_capability,
        power_mode=_power_mode(),
        memory_gb=round(memory, 1),
    )


def _model(root: Path) -> str:
    path = root / "proc/device-tree/model"
    if not path.exists():
        raise NotAJetsonError("this machine is no Jetson: it has no /proc/device-tree/model")
    return path.read_text().rstrip("\0\n")


def _l4t(root: Path) -> str:
    path = root / "etc/nv_tegra_release"
    text = path.read_text() if path.exists() else ""
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    if not found:
        raise NotAJetsonError("this Jetson's release is unknown: /etc/nv_tegra_release lacks it")
    return f"{found[1]}.{found[2]}"


def _memory_gb(root: Path) -> float:
    found = re.search(r"MemTotal:\s+(\d+) kB", (root / "proc/meminfo").read_text())
    return int(found[1]) * 1024 / 1e9 if found else 0.0


def _module(model: str, memory: float) -> JetsonTarget:
    """The module of this model; among sizes of one model the smallest that has the memory."""
    words = set(re.findall(r"[a-z0-9]+", model.lower()))
    fitting = [
        target
        for target in all_targets()
        if isinstance(target, JetsonTarget) and set(target.model) <= words
    ]
    most = max((len(target.model) for target in fitting), default=0)
    closest = [target for target in fitting if len(target.model) == most]
    large = [target for target in closest if target.memory_gb * 1.08 >= memory]
    if not large:
        raise NotAJetsonError(f"the catalogue does not know the module {model!r}")
    return min(large, key=lambda target: target.memory_gb)


def _jetpack(l4t: str, module: JetsonTarget) -> str:
    """The last of the module's JetPacks that is not newer than this release."""
    release = _numbers(l4t)
    known = [table().jetpacks[name] for name in module.jetpacks]
    older = [jetpack for jetpack in known if _numbers(jetpack.l4t) <= release]
    if not older:
        raise NotAJetsonError(f"{module.title} with L4T {l4t}: older than any JetPack known here")
    return max(older, key=lambda jetpack: _numbers(jetpack.l4t)).name


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def _cuda(root: Path) -> str:
    """From the toolkit's own file; JSON since CUDA 11.1, text before."""
    folder = root / "usr/local/cuda"
    if (folder / "version.json").exists():
        version: str = json.loads((folder / "version.json").read_text())["cuda"]["version"]
        return version
    if (folder / "version.txt").exists():
        return (folder / "version.txt").read_text().split()[-1]
    return "unknown"


def _power_mode() -> str:
    found = re.search(r"NV Power Mode:\s*(\S+)", printed(("nvpmodel", "-q")))
    return found[1] if found else "unknown"


def printed(command: Sequence[str], seconds: float = 30.0) -> str:
    """What a command prints; "" where it is missing, fails or takes too long."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
