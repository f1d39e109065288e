"""An engine from a bundle's graph, on the device that will run it, once for each fingerprint."""

import dataclasses
import json
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
from targets.tensorrt.diagnosis.failures import BuildError, Failure
from targets.tensorrt.dla.lowering import parse_placement
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
"""The longest a build may take; minutes are usual on a small Jetson."""


@dataclass(frozen=True)
class _Attempt:
    """One way to the engine.

    Attributes:
        options: With its typing.
        graph: That it takes.
        fingerprint: Of what it leads to.
    """

    options: Options
    graph: Path
    fingerprint: Fingerprint

    def __str__(self) -> str:
        return f"{self.options.precision}, {self.options.typing}ly typed"


def build(
    builder: Builder, device: Device, graphs: Path, wanted: Options, folder: Path, notify: Notify
) -> Engine:
    """Build an engine, or find that an earlier build made the very same one.

    Ways of typing are tried in turn, the next only when TensorRT refuses the graph; which one it
    became stands in the engine's options and in what is said. An engine that an earlier build made
    in any of these ways is found before one is tried: what refused the better way then does now.

    Args:
        builder: Of this device.
        device: This device.
        graphs: The bundle's folder of graphs.
        wanted: The engine, whose `typing` is this function's to choose.
        folder: Where engines, their sidecars and logs go.
        notify: Where to say what happens.

    Raises:
        BuildError: When no way leads to an engine.
        UnsupportedError: When the graph is above what this device's parser reads.
    """
    path = folder / f"student.{wanted.precision}.engine"
    ways = [
        _way(builder, device, graphs, dataclasses.replace(wanted, typing=typing))
        for typing in typing_modes(builder.version, wanted.dla_core)
    ]
    known = _reusable(path, device, [way.fingerprint for way in ways], notify)
    if known is not None:
        return known
    log = folder / f"build.{wanted.precision}.log"
    log.unlink(missing_ok=True)
    for way in ways:
        _note(log, f"{way}: {way.graph.name}, TensorRT {way.fingerprint.tensorrt}")
        try:
            return _build(builder, device, way, path, log, notify)
        except (BuildError, UnsupportedError) as error:
            _note(log, f"no engine: {error}")
            if way is ways[-1] or (isinstance(error, BuildError) and error.failure.transient):
                raise
            notify(f"{way}: {error}; trying the other way")
    raise AssertionError("there is always a way of typing")


def _way(builder: Builder, device: Device, graphs: Path, options: Options) -> _Attempt:
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
    path: Path, device: Device, asked: list[Fingerprint], notify: Notify
) -> Engine | None:
    """The engine that is there, when it is one of those asked for; why it is not, is said."""
    known = load_engine(path)
    if known is None:
        return None
    if device.unknown_facts:
        # Two unknowns are not the same.
        facts = " and ".join(device.unknown_facts)
        notify(f"{path.name}: built again, this device does not tell whether its {facts} changed")
        return None
    if known.fingerprint in asked:
        notify(f"{path.name}: built before, nothing changed")
        return known
    differences = min((each.differences(known.fingerprint) for each in asked), key=len)
    notify(f"{path.name}: built again ({', '.join(differences)})")
    return None


def _note(log: Path, line: str) -> None:
    """A log holds every way that was tried, each under its own head."""
    with log.open("a") as file:
        file.write(f"=== {line} ===\n")


def _build(
    builder: Builder, device: Device, way: _Attempt, path: Path, log: Path, notify: Notify
) -> Engine:
    model, options = read_graph(way.graph), way.options
    if device.opset is not None:
        check_opset(Graph(model).opset, device.opset, f"JetPack {device.jetpack}")
    shape = _shape(model)
    part = path.with_name(f".{path.stem}.part")
    with timing_cache(device, builder.version, part.with_suffix(".cache"), notify) as cache:
        places = BuildFiles(
            way.graph, part, cache, part.with_suffix(".layers"), times=part.with_suffix(".times")
        )
        try:
            builder.build(options, places, shape, log, BUILD_TIMEOUT_S)
            if not places.engine.exists() or not places.engine.stat().st_size:
                raise BuildError(
                    Failure("no-engine", "the build left no engine", f"see {log.name}")
                )
            table = _table(places.layers, path, notify)
            replace_durably(places.engine, path)
        finally:
            places.engine.unlink(missing_ok=True)
            places.layers.unlink(missing_ok=True)
    if table:
        notify(f"{path.name}: {layer_summary(table)}")
    found = None if options.dla_core is None else parse_placement(log.read_text(errors="replace"))
    if options.dla_core is not None:
        notify(f"{path.name}: {found or 'this TensorRT does not tell what runs on the DLA'}")
    engine = Engine(path, way.fingerprint, options, shape, table, reused=False, shares=found)
    write_sidecar(engine)
    return engine


def _shape(model: ModelProto) -> Shape:
    (images,) = model.graph.input
    return tuple(axis.dim_value or None for axis in images.type.tensor_type.shape.dim)


def _table(made: Path, engine: Path, notify: Notify) -> list[Layer]:
    """The engine's layers; none where this TensorRT wrote none, names only, or nonsense.

    The inspector's own words stay beside the engine.
    """
    kept = engine.with_suffix(".layers.json")
    kept.unlink(missing_ok=True)
    if made.exists():
        replace_durably(made, kept)
    try:
        return parse_layers(json.loads(kept.read_text()))
    except (FileNotFoundError, DetailsMissingError):
        notify("this TensorRT tells no types of layers")
    except (ValueError, KeyError, TypeError, AttributeError):
        notify(f"{kept.name}: the table of layers cannot be read")
    return []
