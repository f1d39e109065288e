"""What a run is for: CPUs, compiled for and judged here, and engines, built where they will run."""

from pipeline.config import RunConfig
from pipeline.errors import InputError
from targets.catalogue import CpuTarget, GpuTarget, JetsonTarget, UnknownTargetError, find

HERE = "local-cpu"


def cpu_targets(config: RunConfig) -> dict[str, CpuTarget]:
    """Those that ONNX Runtime compiles for, by name.

    A run that names none is judged on this machine's CPU: no student leaves without a verdict.
    """
    chosen = {name: find(name) for name in config.targets}
    cpus = {name: target for name, target in chosen.items() if isinstance(target, CpuTarget)}
    here = find(HERE)
    assert isinstance(here, CpuTarget)
    return cpus or {HERE: here}


def engine_targets(config: RunConfig) -> dict[str, JetsonTarget | GpuTarget]:
    """Those that TensorRT builds an engine for, by name."""
    chosen = {name: find(name) for name in config.targets}
    return {name: t for name, t in chosen.items() if not isinstance(t, CpuTarget)}


def check_targets(config: RunConfig) -> None:
    """Refuse a run for a target that is unknown, or that cannot read its graphs.

    Raises:
        InputError: With the nearest name, or the remedy.
    """
    try:
        engines = engine_targets(config)
    except UnknownTargetError as error:
        raise InputError(f"targets: {error}") from None
    for name, target in engines.items():
        if isinstance(target, JetsonTarget):
            newest = max(jetpack.opset for jetpack in target.jetpacks)
            if config.export.opset > newest:
                raise InputError(
                    f"export.opset: {config.export.opset} is above {newest}, the highest that "
                    f"TensorRT reads on {name}; set export.opset: {newest}"
                )
