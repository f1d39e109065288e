"""What a run is for: CPUs, compiled for and judged here, and engines, built where they will run."""

import re
from dataclasses import dataclass

from base.errors import InputError
from pipeline.config.schema import RunConfig
from targets.catalogue.catalogue import UnknownTargetError, find_target
from targets.catalogue.target_types import CpuTarget, JetsonTarget, Target

HERE = "local-cpu"

POOL = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""What a work pool may be called."""


@dataclass(frozen=True)
class Elsewhere:
    """A target that is made ready where it will run.

    Attributes:
        target: What it is.
        pool: The work pool whose workers are such devices, and the deployment they serve.
        dla_core: The deep-learning accelerator to build for; None for the GPU.
    """

    target: Target
    pool: str
    dla_core: int | None = None


def cpu_targets(config: RunConfig) -> dict[str, CpuTarget]:
    """Those that ONNX Runtime compiles for here, by name.

    A run that names none is judged on this machine's CPU: no student leaves without a verdict.
    """
    cpus = {
        name: target
        for name in config.targets
        if "@" not in name and isinstance(target := find_target(_without_core(name)[0]), CpuTarget)
    }
    here = find_target(HERE)
    assert isinstance(here, CpuTarget)
    return cpus or {HERE: here}


def targets_elsewhere(config: RunConfig) -> dict[str, Elsewhere]:
    """Those that are made ready on their own device, by the name that the run file gives them.

    An engine always is, by the pool that is called as its target; anything else where the run file
    says so: TARGET@POOL. TARGET-dla0 is the first deep-learning accelerator of that Jetson.
    """
    found: dict[str, Elsewhere] = {}
    for name in config.targets:
        called, _, pool = name.partition("@")
        plain, core = _without_core(called)
        target = find_target(plain)
        if pool or not isinstance(target, CpuTarget):
            found[name] = Elsewhere(target, pool or target.name, core)
    return found


def _without_core(called: str) -> tuple[str, int | None]:
    """A target's own name, and the accelerator of it that is meant."""
    named = re.fullmatch(r"(.+)-dla(\d+)", called)
    return (named[1], int(named[2])) if named else (called, None)


def by_target(config: RunConfig) -> dict[str, list[str]]:
    """What the run file names, pools and accelerators and all, by every name of its target."""
    chosen: dict[str, list[str]] = {}
    for name in config.targets:
        target = find_target(_without_core(name.partition("@")[0])[0])
        for called in (target.name, *getattr(target, "also", ())):
            chosen.setdefault(called, []).append(name)
    return chosen


def check_targets(config: RunConfig) -> None:
    """Refuse a run for a target that is unknown, or that cannot read its graphs.

    Raises:
        InputError: With the nearest name, or the remedy.
    """
    try:
        cpu_targets(config)
        elsewhere = targets_elsewhere(config)
    except UnknownTargetError as error:
        raise InputError(f"targets: {error}") from None
    for name in config.targets:
        called, at, pool = name.partition("@")
        # A folder of the bundle is called as the target.
        if at and not re.fullmatch(POOL, pool):
            raise InputError(f"targets: {name!r} names no pool; write {called}@POOL")
    for name in config.targets:
        plain, core = _without_core(name.partition("@")[0])
        cores = getattr(find_target(plain), "dla_cores", 0)
        if core is not None and core >= cores:
            there = f"{cores} accelerators, from 0" if cores else "no accelerator"
            raise InputError(f"targets: {name!r}: {plain} has {there}; write {plain}")
    for name, place in elsewhere.items():
        if isinstance(place.target, JetsonTarget):
            newest = max(jetpack.opset for jetpack in place.target.jetpacks)
            if config.export.opset > newest:
                raise InputError(
                    f"export.opset: {config.export.opset} is above {newest}, the highest that "
                    f"TensorRT reads on {name}; set export.opset: {newest}"
                )
