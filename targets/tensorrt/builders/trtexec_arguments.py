"""The arguments of trtexec to build, time and run an engine.

Optional flags are used if trtexec's own help lists them, not by version number.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

from targets.tensorrt.options import (
    DLA_CALIBRATION_CACHE,
    BuildFiles,
    Options,
    Shape,
    UnsupportedError,
)


def build_arguments(
    options: Options, files: BuildFiles, shape: Shape, flags: Collection[str]
) -> list[str]:
    """Return the arguments that build an engine without running it.

    Args:
        options: What to build.
        files: Where to read and write.
        shape: Of the graph's input.
        flags: The flags that this trtexec's help lists.

    Raises:
        UnsupportedError: If a flag is missing that the engine depends on.
    """
    arguments = [f"--onnx={files.graph}", f"--saveEngine={files.engine}"]
    arguments += _typing(options, flags)
    if "--memPoolSize" in flags:
        arguments.append(f"--memPoolSize=workspace:{options.workspace_mib}")
    else:
        arguments.append(f"--workspace={options.workspace_mib}")
    if shape[0] is None:
        for bound, batch in (("min", 1), ("opt", options.batch), ("max", options.largest)):
            arguments.append(f"--{bound}Shapes=images:{_dimensions(shape, batch)}")
    elif "--explicitBatch" in flags:
        # Without shapes, versions before 8.2 assume that the graph has no batch dimension.
        arguments.append("--explicitBatch")
    arguments.append(f"--timingCacheFile={files.cache}")
    for layer_flag in ("--profilingVerbosity=detailed", f"--exportLayerInfo={files.layers}"):
        # Versions before 8.2 have no layer table.
        arguments += [layer_flag] if layer_flag.partition("=")[0] in flags else []
    if options.dla_core is not None:
        # Since version 10, only verbose output contains where layers run.
        arguments += [f"--useDLACore={options.dla_core}", "--allowGPUFallback", "--verbose"]
        if options.precision == "int8":
            arguments.append(f"--calib={files.graph.with_name(DLA_CALIBRATION_CACHE)}")
    return [*arguments, _without_run(flags)]


def timing_arguments(options: Options, files: BuildFiles, shape: Shape) -> list[str]:
    """Return the arguments that time an engine's GPU work after a warm-up of two seconds."""
    arguments = [f"--loadEngine={files.engine}", *_shapes(options.batch, shape)]
    arguments += ["--warmUp=2000", "--duration=5", "--iterations=100", "--noDataTransfers"]
    arguments += ["--useSpinWait", f"--exportTimes={files.times}"]
    return arguments + _device(options)


def inference_arguments(
    options: Options, files: BuildFiles, shape: Shape, images: Path, logits: Path, count: int
) -> list[str]:
    """Return the arguments that run an engine once on raw images and save the logits.

    Args:
        options: The engine's options.
        files: Its files.
        shape: Of its input.
        images: File with `count` raw images.
        logits: Where to write the logits.
        count: Number of images.
    """
    arguments = [f"--loadEngine={files.engine}", *_shapes(count, shape)]
    arguments += [f"--loadInputs=images:{images}", f"--exportOutput={logits}"]
    return [*arguments, "--warmUp=0", "--duration=0", "--iterations=1", *_device(options)]


def _typing(options: Options, flags: Collection[str]) -> list[str]:
    if options.typing == "strong":
        # Version 11 is always strongly typed, and a later version may drop the flag.
        return ["--stronglyTyped"] if "--stronglyTyped" in flags else []
    wanted = ["--int8", "--fp16"] if options.precision == "int8" else ["--fp16"]
    missing = [flag for flag in wanted if flag not in flags]
    if missing:
        raise UnsupportedError(
            f"this trtexec has no {missing[0]}; build strongly typed from the {options.precision} "
            "graph with float16 scales"
        )
    return wanted


def _without_run(flags: Collection[str]) -> str:
    """Return the flag to build without running: --skipInference since 8.6, --buildOnly before."""
    return "--skipInference" if "--skipInference" in flags else "--buildOnly"


def _shapes(batch: int, shape: Shape) -> list[str]:
    return [f"--shapes=images:{_dimensions(shape, batch)}"] if shape[0] is None else []


def _dimensions(shape: Shape, batch: int) -> str:
    rest: Sequence[int | None] = shape[1:]
    return "x".join(map(str, (batch, *rest)))


def _device(options: Options) -> list[str]:
    return [] if options.dla_core is None else [f"--useDLACore={options.dla_core}"]
