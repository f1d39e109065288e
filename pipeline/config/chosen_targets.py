"""The targets of a run: CPUs, compiled for and judged here, and devices that build their own."""

import re
from dataclasses import dataclass

from base.errors import InputError
from pipeline.config.schema import RunConfig
from targets.catalogue.catalogue import UnknownTargetError, find_target
from targets.catalogue.target_types import CpuTarget, JetsonTarget, Target

HERE = "local-cpu"

POOL = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""The names that a work pool may have."""


@dataclass(frozen=True)
class RemoteTarget:
    """A target that is built on its own device.

    Attributes:
        target: The target.
        pool: The work pool of such devices, and the deployment that they serve.
        dla_core: The deep-learning accelerator to build for; None for the GPU.
    """

    target: Target
    pool: str
    dla_core: int | None = None


def cpu_targets(config: RunConfig) -> dict[str, CpuTarget]:
    """Return the targets that ONNX Runtime compiles for on this machine, by name.

    If a run names none, it is compiled for and judged on this machine's CPU: every student gets a
    verdict.
    """
    cpus = {
        name: target
        for name in config.targets
        if "@" not in name and isinstance(target := find_target(_split_core(name)[0]), CpuTarget)
    }
    here = find_target(HERE)
    assert isinstance(here, CpuTarget)
    return cpus or {HERE: here}


def remote_targets(config: RunConfig) -> dict[str, RemoteTarget]:
    """Return the targets that are built on their own device, by their names in the run file.

    An engine always is; its pool has the name of the target. Any other target is if the run file
    names it TARGET@POOL. TARGET-dla0 is the first deep-learning accelerator of that Jetson.
    """
    found: dict[str, RemoteTarget] = {}
    for name in config.targets:
        full_name, _, pool = name.partition("@")
        plain, core = _split_core(full_name)
        target = find_target(plain)
        if pool or not isinstance(target, CpuTarget):
            found[name] = RemoteTarget(target, pool or target.name, core)
    return found


def _split_core(name: str) -> tuple[str, int | None]:
    """Split TARGET-dlaCORE into the target's name and the accelerator's number."""
    named = re.fullmatch(r"(.+)-dla(\d+)", name)
    return (named[1], int(named[2])) if named else (name, None)


def names_by_target(config: RunConfig) -> dict[str, list[str]]:
    """Return the run file's target names, with pools and accelerators, by target and alias."""
    names: dict[str, list[str]] = {}
    for name in config.targets:
        target = find_target(_split_core(name.partition("@")[0])[0])
        aliases = target.aliases if isinstance(target, JetsonTarget) else ()
        for alias in (target.name, *aliases):
            names.setdefault(alias, []).append(name)
    return names


def check_targets(config: RunConfig) -> None:
    """Raise InputError if a target is unknown or cannot read the run's graphs.

    Raises:
        InputError: With the nearest name, or how to fix it.
    """
    try:
        cpu_targets(config)
        remote = remote_targets(config)
    except UnknownTargetError as error:
        raise InputError(f"targets: {error}") from None
    for name in config.targets:
        full_name, at, pool = name.partition("@")
        # The pool becomes part of a folder's name in the bundle.
        if at and not re.fullmatch(POOL, pool):
            raise InputError(f"targets: {name!r} has no valid pool; write {full_name}@POOL")
    for name in config.targets:
        plain, core = _split_core(name.partition("@")[0])
        cores = getattr(find_target(plain), "dla_cores", 0)
        if core is not None and core >= cores:
            there = f"{cores} accelerators, from 0" if cores else "no accelerator"
            raise InputError(f"targets: {name!r}: {plain} has {there}; write {plain}")
    for name, place in remote.items():
        if isinstance(place.target, JetsonTarget):
            newest = max(jetpack.opset for jetpack in place.target.jetpacks)
            if config.export.opset > newest:
                raise InputError(
                    f"export.opset: {config.export.opset} is above {newest}, the highest that "
                    f"TensorRT reads on {name}; set export.opset: {newest}"
                )
