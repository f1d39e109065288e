"""How an engine is asked for: which graph, which way of typing, which flags of trtexec.

Nothing goes by the version that can go by what is there: flags are taken from trtexec's own help.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Precision = Literal["int8", "fp16"]
Typing = Literal["strong", "weak"]

GRAPH_ROLES: dict[tuple[Precision, Typing, bool], str] = {
    ("int8", "strong", False): "int8-fp16",
    ("fp16", "strong", False): "fp16",
    ("int8", "weak", False): "int8",
    ("fp16", "weak", False): "fp32",
    ("int8", "weak", True): "int8-float-weights",
    ("fp16", "weak", True): "fp32",
}
"""The bundle's graph for a precision, a way of typing, and whether this is TensorRT 8.

Strongly typed networks take every type from the graph; weakly typed ones get a float32 graph and
leave to choose float16. TensorRT 8 wants the weights of an int8 graph in float with a Q/DQ pair.
"""


class UnsupportedError(ValueError):
    """This TensorRT, or this device, cannot do what was asked; says what to do instead."""


@dataclass(frozen=True)
class Options:
    """What an engine is asked to be; part of its fingerprint.

    Attributes:
        precision: "int8" is the quantized student with float16 elsewhere, "fp16" its twin.
        typing: Whether types come from the graph or are the builder's to choose.
        batch: The batch to tune for.
        largest: The largest batch it must take; the graph's own where that is fixed.
        workspace_mib: Scratch memory the builder may use.
        dla_core: The accelerator to run on, with the GPU for what it cannot do; None for the GPU.
    """

    precision: Precision
    typing: Typing
    batch: int = 1
    largest: int = 1
    workspace_mib: int = 1024
    dla_core: int | None = None


MAX_WORKSPACE_MIB = 1024
"""MiB of scratch memory that a builder gets unless told otherwise, where there is plenty."""


def default_workspace_mib(memory_gb: float | None) -> int:
    """The scratch memory to build with: an eighth of the device's, which the GPU shares with all.

    Args:
        memory_gb: The device's; None where nobody knows it.
    """
    return (
        MAX_WORKSPACE_MIB
        if memory_gb is None
        else min(MAX_WORKSPACE_MIB, int(memory_gb * 1024 / 8))
    )


DLA_CALIBRATION_CACHE = "student.dla.cache"
"""The scales of an accelerator's int8 engine, beside its float graph."""


def typing_modes(version: tuple[int, ...], dla_core: int | None = None) -> tuple[Typing, ...]:
    """The ways of typing to try with a TensorRT, the better first; an accelerator has one.

    Weak typing left in 11. Strong typing, there since 10, gives what the graph says, but float16
    scales were refused on Orin by 10.16 (NVIDIA/TensorRT#4832): then weak typing still works.
    """
    if dla_core is not None:
        return ("weak",)
    if version[0] >= 11:
        return ("strong",)
    return ("strong", "weak") if version[0] == 10 else ("weak",)


def graph_role(options: Options, version: tuple[int, ...]) -> str:
    """Which of the bundle's graphs is built from."""
    if options.dla_core is not None:
        return f"dla-{options.precision}"
    return GRAPH_ROLES[options.precision, options.typing, version[0] < 10]


def check_opset(opset: int, ceiling: int, where: str) -> None:
    """Refuse a graph that a parser will not read.

    Raises:
        UnsupportedError: With the remedy.
    """
    if opset > ceiling:
        raise UnsupportedError(
            f"the graph's opset {opset} is above {ceiling}, the highest that {where} reads; "
            f"set export.opset to {min(ceiling, 17)} or less"
        )


@dataclass(frozen=True)
class BuildFiles:
    """Files of one build.

    Attributes:
        graph: The ONNX file.
        engine: Where the engine goes.
        cache: Where the timing cache is, and goes.
        layers: Where the layer table goes.
        times: Where the timings go.
    """

    graph: Path
    engine: Path
    cache: Path
    layers: Path
    times: Path


Shape = tuple[int | None, ...]
"""Of the input `images`; None for a batch that is the engine's to choose."""


def build_arguments(
    options: Options, places: BuildFiles, shape: Shape, flags: Collection[str]
) -> list[str]:
    """The arguments for a build without a run.

    Args:
        options: What to build.
        places: From where to where.
        shape: Of the graph's input.
        flags: What this trtexec knows, by its help.

    Raises:
        UnsupportedError: When it lacks a flag without which the engine would be another.
    """
    arguments = [f"--onnx={places.graph}", f"--saveEngine={places.engine}"]
    arguments += _typing(options, flags)
    if "--memPoolSize" in flags:
        arguments.append(f"--memPoolSize=workspace:{options.workspace_mib}")
    else:
        arguments.append(f"--workspace={options.workspace_mib}")
    if shape[0] is None:
        for bound, batch in (("min", 1), ("opt", options.batch), ("max", options.largest)):
            arguments.append(f"--{bound}Shapes=images:{_dimensions(shape, batch)}")
    elif "--explicitBatch" in flags:
        # Before 8.2 a graph that is given no shapes is taken for one without a batch of its own.
        arguments.append("--explicitBatch")
    arguments.append(f"--timingCacheFile={places.cache}")
    for telling in ("--profilingVerbosity=detailed", f"--exportLayerInfo={places.layers}"):
        # Missing before 8.2, where no layer table can be had.
        arguments += [telling] if telling.partition("=")[0] in flags else []
    if options.dla_core is not None:
        # Since 10 it tells where layers run to those alone who want to hear everything.
        arguments += [f"--useDLACore={options.dla_core}", "--allowGPUFallback", "--verbose"]
        if options.precision == "int8":
            arguments.append(f"--calib={places.graph.with_name(DLA_CALIBRATION_CACHE)}")
    return [*arguments, _without_run(flags)]


def timing_arguments(options: Options, places: BuildFiles, shape: Shape) -> list[str]:
    """The arguments that time an engine: the GPU's work alone, after two seconds of warmth."""
    arguments = [f"--loadEngine={places.engine}", *_shapes(options.batch, shape)]
    arguments += ["--warmUp=2000", "--duration=5", "--iterations=100", "--noDataTransfers"]
    arguments += ["--useSpinWait", f"--exportTimes={places.times}"]
    return arguments + _device(options)


def inference_arguments(
    options: Options, places: BuildFiles, shape: Shape, images: Path, answers: Path, count: int
) -> list[str]:
    """The arguments that put raw images through an engine once and keep the logits."""
    arguments = [f"--loadEngine={places.engine}", *_shapes(count, shape)]
    arguments += [f"--loadInputs=images:{images}", f"--exportOutput={answers}"]
    return [*arguments, "--warmUp=0", "--duration=0", "--iterations=1", *_device(options)]


def _typing(options: Options, flags: Collection[str]) -> list[str]:
    if options.typing == "strong":
        # 11 types strongly whether told or not, and may one day drop the flag.
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
    """A build alone: called --skipInference since 8.6 and --buildOnly before."""
    return "--skipInference" if "--skipInference" in flags else "--buildOnly"


def _shapes(batch: int, shape: Shape) -> list[str]:
    return [f"--shapes=images:{_dimensions(shape, batch)}"] if shape[0] is None else []


def _dimensions(shape: Shape, batch: int) -> str:
    rest: Sequence[int | None] = shape[1:]
    return "x".join(map(str, (batch, *rest)))


def _device(options: Options) -> list[str]:
    return [] if options.dla_core is None else [f"--useDLACore={options.dla_core}"]
