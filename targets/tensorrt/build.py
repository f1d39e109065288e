"""Build an engine from a bundle's graph, or reuse one with the same fingerprint."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto

from base.durable_files import replace_durably
from base.file_digest import file_digest
from base.notify import Notify
from targets.catalogue.device_detection import Device
from targets.graph.graph_file import read_graph
from targets.graph.topology import Graph
from targets.tensorrt.builders.choose import Builder
from targets.tensorrt.diagnosis.failure import BuildError, Failure
from targets.tensorrt.dla.placement import parse_placement
from targets.tensorrt.engine import Engine, load_engine, write_sidecar
from targets.tensorrt.fingerprint import Fingerprint, options_text
from targets.tensorrt.layers import DetailsMissingError, Layer, layer_summary, parse_layers
from targets.tensorrt.options import (
    BuildFiles,
    Options,
    Shape,
    UnsupportedError,
    check_opset,
    graph_role,
    typing_modes,
)
from targets.tensorrt.timing_cache import timing_cache

BUILD_TIMEOUT_S = 3600.0
"""Time limit of a build; minutes are normal on a small Jetson."""


@dataclass(frozen=True)
class _Attempt:
    """One typing mode to try.

    Attributes:
        options: The options with this typing mode.
        graph: The graph to build from.
        fingerprint: Fingerprint of the resulting engine.
    """

    options: Options
    graph: Path
    fingerprint: Fingerprint

    def __str__(self) -> str:
        return f"{self.options.precision}, {self.options.typing}ly typed"


def build(
    builder: Builder, device: Device, graphs: Path, options: Options, folder: Path, notify: Notify
) -> Engine:
    """Build an engine, or reuse an earlier one with the same fingerprint.

    Typing modes are tried in order, the next one only if TensorRT refuses the graph. The engine's
    options and a message name the mode. An earlier engine of any mode is reused first, because a
    mode that failed then would fail again.

    Args:
        builder: This device's builder.
        device: This device.
        graphs: The bundle's folder of graphs.
        options: The engine to build; this function chooses `typing`.
        folder: Where to write the engine, its sidecar and the log.
        notify: Receives progress messages.

    Raises:
        BuildError: If no typing mode produces an engine.
        UnsupportedError: If the graph's opset is too high for this device.
    """
    path = folder / f"student.{options.precision}.engine"
    attempts = [
        _attempt(builder, device, graphs, dataclasses.replace(options, typing=typing))
        for typing in typing_modes(builder.version, options.dla_core)
    ]
    reusable = _reusable(path, device, [attempt.fingerprint for attempt in attempts], notify)
    if reusable is not None:
        return reusable
    log = folder / f"build.{options.precision}.log"
    log.unlink(missing_ok=True)
    for attempt in attempts:
        _add_heading(
            log, f"{attempt}: {attempt.graph.name}, TensorRT {attempt.fingerprint.tensorrt}"
        )
        try:
            return _build(builder, device, attempt, path, log, notify)
        except (BuildError, UnsupportedError) as error:
            _add_heading(log, f"no engine: {error}")
            transient = isinstance(error, BuildError) and error.failure.transient
            if attempt is attempts[-1] or transient:
                raise
            notify(f"{attempt}: {error}; trying the next typing mode")
    raise AssertionError("there is at least one typing mode")


def _attempt(builder: Builder, device: Device, graphs: Path, options: Options) -> _Attempt:
    graph = graphs / f"student.{graph_role(options, builder.version)}.onnx"
    fingerprint = Fingerprint(
        graph=file_digest(graph),
        tensorrt=".".join(map(str, builder.version)),
        cuda=device.cuda,
        compute_capability=device.compute_capability,
        device=device.target,
        l4t=device.l4t,
        power_mode=device.power_mode,
        options=options_text(options),
    )
    return _Attempt(options, graph, fingerprint)


def _reusable(
    path: Path, device: Device, wanted: Sequence[Fingerprint], notify: Notify
) -> Engine | None:
    """Return the existing engine if it has a wanted fingerprint; otherwise report why not."""
    existing = load_engine(path)
    if existing is None:
        return None
    if device.unknown_facts:
        # Two unknown values are not equal.
        facts = " and ".join(device.unknown_facts)
        notify(f"{path.name}: rebuilding, because this device does not report its {facts}")
        return None
    if existing.fingerprint in wanted:
        notify(f"{path.name}: unchanged, reused")
        return existing
    differences = min((each.differences(existing.fingerprint) for each in wanted), key=len)
    notify(f"{path.name}: rebuilding ({', '.join(differences)})")
    return None


def _add_heading(log: Path, line: str) -> None:
    """Append a heading to the log, which contains every attempt."""
    with log.open("a") as file:
        file.write(f"=== {line} ===\n")


def _build(
    builder: Builder, device: Device, attempt: _Attempt, path: Path, log: Path, notify: Notify
) -> Engine:
    model, options = read_graph(attempt.graph), attempt.options
    if device.opset is not None:
        check_opset(Graph(model).opset, device.opset, f"JetPack {device.jetpack}")
    shape = _input_shape(model)
    part = path.with_name(f".{path.stem}.part")
    with timing_cache(device, builder.version, part.with_suffix(".cache"), notify) as cache:
        files = BuildFiles(
            attempt.graph,
            part,
            cache,
            part.with_suffix(".layers"),
            times=part.with_suffix(".times"),
        )
        try:
            builder.build(options, files, shape, log, BUILD_TIMEOUT_S)
            if not files.engine.exists() or not files.engine.stat().st_size:
                raise BuildError(
                    Failure("no-engine", "the build produced no engine", f"see {log.name}")
                )
            layers = _read_layers(files.layers, path, notify)
            replace_durably(files.engine, path)
        finally:
            files.engine.unlink(missing_ok=True)
            files.layers.unlink(missing_ok=True)
    if layers:
        notify(f"{path.name}: {layer_summary(layers)}")
    placement = None
    if options.dla_core is not None:
        placement = parse_placement(log.read_text(errors="replace"))
        unknown = "this TensorRT does not report which layers run on the DLA"
        notify(f"{path.name}: {placement or unknown}")
    engine = Engine(
        path, attempt.fingerprint, options, shape, layers, reused=False, placement=placement
    )
    write_sidecar(engine)
    return engine


def _input_shape(model: ModelProto) -> Shape:
    (images,) = model.graph.input
    return tuple(axis.dim_value or None for axis in images.type.tensor_type.shape.dim)


def _read_layers(written: Path, engine: Path, notify: Notify) -> list[Layer]:
    """Keep the inspector's file beside the engine and return its layers.

    The list is empty if the file is missing, contains names only, or is unreadable.
    """
    kept = engine.with_suffix(".layers.json")
    kept.unlink(missing_ok=True)
    if written.exists():
        replace_durably(written, kept)
    try:
        return parse_layers(json.loads(kept.read_text()))
    except (FileNotFoundError, DetailsMissingError):
        notify("this TensorRT reports no layer types")
    except (ValueError, KeyError, TypeError, AttributeError):
        notify(f"{kept.name}: unreadable layer table")
    return []
