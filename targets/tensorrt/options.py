"""What an engine should be, and which of the bundle's graphs it is built from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Precision = Literal["int8", "fp16"]
Typing = Literal["strong", "weak"]

Shape = tuple[int | None, ...]
"""Shape of the input `images`; None for a batch size that the engine may choose."""

GRAPH_ROLES: dict[tuple[Precision, Typing, bool], str] = {
    ("int8", "strong", False): "int8-fp16",
    ("fp16", "strong", False): "fp16",
    ("int8", "weak", False): "int8",
    ("fp16", "weak", False): "fp32",
    ("int8", "weak", True): "int8-float-weights",
    ("fp16", "weak", True): "fp32",
}
"""The bundle's graph for a precision, a typing mode, and whether this is TensorRT 8.

A strongly typed network takes every type from the graph. A weakly typed one gets a float32 graph
and the permission to use float16. TensorRT 8 needs float weights with Q/DQ in an int8 graph.
"""

DLA_CALIBRATION_CACHE = "student.dla.cache"
"""File with the scales of an accelerator's int8 engine, beside its float graph."""

MAX_WORKSPACE_MIB = 1024
"""Default scratch memory of a builder on a device with enough memory."""


class UnsupportedError(ValueError):
    """This TensorRT or this device cannot do what was requested; the message offers a fix."""


@dataclass(frozen=True)
class Options:
    """What an engine should be; part of its fingerprint, so the field names are fixed.

    Attributes:
        precision: "int8" for the quantized student with float16 elsewhere, "fp16" for float16 only.
        typing: Whether types come from the graph ("strong") or the builder chooses them ("weak").
        batch: The batch size to optimize for.
        largest: The largest batch size to support; the graph's own if that is fixed.
        workspace_mib: Scratch memory that the builder may use.
        dla_core: The accelerator to run on, with the GPU as fallback; None for the GPU only.
    """

    precision: Precision
    typing: Typing
    batch: int = 1
    largest: int = 1
    workspace_mib: int = 1024
    dla_core: int | None = None


@dataclass(frozen=True)
class BuildFiles:
    """The files of one build.

    Attributes:
        graph: The ONNX file to read.
        engine: Where to write the engine.
        cache: The timing cache to read and update.
        layers: Where to write the layer table.
        times: Where to write timings.
    """

    graph: Path
    engine: Path
    cache: Path
    layers: Path
    times: Path


def default_workspace_mib(memory_gb: float | None) -> int:
    """Return an eighth of the device's memory, which CPU and GPU share, up to MAX_WORKSPACE_MIB.

    Args:
        memory_gb: The device's memory; None if unknown.
    """
    return MAX_WORKSPACE_MIB if memory_gb is None else min(MAX_WORKSPACE_MIB, int(memory_gb * 128))


def typing_modes(version: tuple[int, ...], dla_core: int | None = None) -> tuple[Typing, ...]:
    """Return the typing modes to try with a TensorRT version, the preferred one first.

    Weak typing was removed in 11. Strong typing exists since 10 and follows the graph exactly, but
    10.16 refused float16 scales on Orin (NVIDIA/TensorRT#4832); weak typing is the fallback there.
    An accelerator supports weak typing only.
    """
    if dla_core is not None:
        return ("weak",)
    if version[0] >= 11:
        return ("strong",)
    return ("strong", "weak") if version[0] == 10 else ("weak",)


def graph_role(options: Options, version: tuple[int, ...]) -> str:
    """Return which of the bundle's graphs an engine is built from."""
    if options.dla_core is not None:
        return f"dla-{options.precision}"
    return GRAPH_ROLES[options.precision, options.typing, version[0] < 10]


def check_opset(opset: int, highest: int, parser: str) -> None:
    """Check that a parser can read a graph.

    Args:
        opset: The graph's opset.
        highest: The highest opset that the parser reads.
        parser: Its name, for the error message.

    Raises:
        UnsupportedError: If the opset is too high.
    """
    if opset > highest:
        raise UnsupportedError(
            f"the graph's opset {opset} is above {highest}, the highest that {parser} reads; "
            f"set export.opset to {min(highest, 17)} or less"
        )
