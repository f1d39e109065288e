"""An engine from a bundle's graph, on the device that will run it, once for each fingerprint."""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from onnx import ModelProto

from targets.device import Device
from targets.durable_files import file_digest, replace_durably, write_durably
from targets.graph import Graph
from targets.graph_file import read_graph
from targets.tensorrt.dla import Shares, shares
from targets.tensorrt.failures import BuildError, Failure
from targets.tensorrt.fingerprint import Fingerprint, options_text
from targets.tensorrt.layers import DetailsMissingError, Layer, layers, summary
from targets.tensorrt.plan import (
    Options,
    Places,
    Shape,
    UnsupportedError,
    check_graph,
    graph_role,
    typings,
)

Say = Callable[[str], None]


class Builder(Protocol):
    """What builds: the Python bindings where they import, trtexec elsewhere."""

    @property
    def version(self) -> tuple[int, ...]:
        """TensorRT's, as numbers."""

    def build(
        self, options: Options, places: Places, shape: Shape, log: Path, seconds: float
    ) -> None:
        """Build an engine at `places.engine`, its layer table at `places.layers`."""


BUILD_SECONDS = 3600.0
"""The longest a build may take; minutes are usual on a small Jetson."""


@dataclass(frozen=True)
class Engine:
    """A built engine and what is known of it; all but the path stands in its sidecar.

    Attributes:
        path: The plan file, exactly as TensorRT wrote it.
        fingerprint: What it was built from and for.
        options: What was asked of it.
        shape: Of its input.
        table: Its layers; empty where this TensorRT tells names only.
        reused: Whether it was found, not built.
        shares: What runs on the accelerator it was built for, and what fell back to the GPU; None
            for the GPU's own engines, and where TensorRT does not tell.
    """

    path: Path
    fingerprint: Fingerprint
    options: Options
    shape: Shape
    table: list[Layer]
    reused: bool
    shares: Shares | None = None


def build(
    builder: Builder, device: Device, graphs: Path, wanted: Options, folder: Path, say: Say
) -> Engine:
    """Build an engine, or find that an earlier build made the very same one.

    Ways of typing are tried in turn, the next only when TensorRT refuses the graph; which one it
    became stands in the engine's options and in what is said.

    Args:
        builder: Of this device.
        device: This device.
        graphs: The bundle's folder of graphs.
        wanted: The engine, whose `typing` is this function's to choose.
        folder: Where engines, their sidecars, logs and timing caches go.
        say: Where to say what happens.

    Raises:
        BuildError: When no way leads to an engine.
        UnsupportedError: When the graph is above what this device's parser reads.
    """
    ways = typings(builder.version, wanted.dla_core)
    for typing in ways:
        options = dataclasses.replace(wanted, typing=typing)
        try:
            return _build(builder, device, graphs, options, folder, say)
        except (BuildError, UnsupportedError) as error:
            if typing == ways[-1] or (isinstance(error, BuildError) and error.failure.again):
                raise
            say(f"{options.precision}, {typing}ly typed: {error}; trying the other way")
    raise AssertionError("there is always a way of typing")


def _build(
    builder: Builder, device: Device, graphs: Path, options: Options, folder: Path, say: Say
) -> Engine:
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
    path = folder / f"student.{options.precision}.engine"
    known = reopen(path)
    if known is not None and known.fingerprint == fingerprint:
        say(f"{path.name}: built before, nothing changed")
        return known
    if known is not None:
        say(f"{path.name}: built again ({', '.join(fingerprint.differences(known.fingerprint))})")
    model = read_graph(graph)
    if device.opset is not None:
        check_graph(Graph(model).opset, device.opset, f"JetPack {device.jetpack}")
    shape = _shape(model)
    places = _places(graph, path, folder, device, builder.version)
    log = folder / f"build.{options.precision}.log"
    log.unlink(missing_ok=True)
    try:
        builder.build(options, places, shape, log, BUILD_SECONDS)
        if not places.engine.exists() or not places.engine.stat().st_size:
            raise BuildError(Failure("no-engine", "the build left no engine", f"see {log}"))
        table = _table(places.layers, say)
        replace_durably(places.engine, path)
    finally:
        places.engine.unlink(missing_ok=True)
    if table:
        say(f"{path.name}: {summary(table)}")
    found = None if options.dla_core is None else shares(log.read_text(errors="replace"))
    if options.dla_core is not None:
        say(f"{path.name}: {found or 'this TensorRT does not tell what runs on the DLA'}")
    engine = Engine(path, fingerprint, options, shape, table, reused=False, shares=found)
    write_durably(_sidecar_place(path), json.dumps(_sidecar(engine), indent=1) + "\n")
    return engine


def reopen(path: Path) -> Engine | None:
    """An engine with its sidecar; None where either is missing, torn or not the other's."""
    try:
        document = json.loads(_sidecar_place(path).read_text())
        if document["sha256"] != file_digest(path):
            return None
        return Engine(
            path,
            Fingerprint(**document["fingerprint"]),
            Options(**document["options"]),
            tuple(document["input"]["shape"]),
            [Layer(**row) for row in document["layers"]],
            reused=True,
            shares=_shares(document["shares"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _shares(document: dict[str, list[str]] | None) -> Shares | None:
    if document is None:
        return None
    return Shares(tuple(document["on_dla"]), tuple(document["on_gpu"]))


def _sidecar_place(path: Path) -> Path:
    return path.with_suffix(".json")


def _sidecar(engine: Engine) -> dict[str, Any]:
    """What programs beside this one need to know; the engine file itself stays TensorRT's own."""
    return {
        "sha256": file_digest(engine.path),
        "fingerprint": dataclasses.asdict(engine.fingerprint),
        "options": dataclasses.asdict(engine.options),
        "input": {"name": "images", "shape": engine.shape},
        "output": {"name": "logits"},
        "shares": dataclasses.asdict(engine.shares) if engine.shares else None,
        "layers": [dataclasses.asdict(layer) for layer in engine.table],
    }


def _places(
    graph: Path, engine: Path, folder: Path, device: Device, version: tuple[int, ...]
) -> Places:
    kept = (device.target, *version, "cuda", device.cuda, device.power_mode)
    cache = f"timing.{'-'.join(map(str, kept))}.cache"
    stem = engine.stem
    return Places(
        graph=graph,
        engine=folder / f".{stem}.part",
        cache=folder / cache,
        layers=folder / f"{stem}.layers.json",
        times=folder / f"{stem}.times.json",
    )


def _shape(model: ModelProto) -> Shape:
    (images,) = model.graph.input
    return tuple(axis.dim_value or None for axis in images.type.tensor_type.shape.dim)


def _table(path: Path, say: Say) -> list[Layer]:
    """The engine's layers; none where this TensorRT wrote none, names only, or nonsense."""
    try:
        return layers(json.loads(path.read_text()))
    except (FileNotFoundError, DetailsMissingError):
        say("this TensorRT tells no types of layers")
    except (ValueError, KeyError, TypeError, AttributeError):
        say(f"{path.name}: the table of layers cannot be read")
    return []
