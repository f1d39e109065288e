"""An engine file and its sidecar: a JSON file with everything known about the engine."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from base.durable_files import write_durably
from base.file_digest import file_digest
from targets.tensorrt.dla.placement import DlaPlacement
from targets.tensorrt.fingerprint import Fingerprint
from targets.tensorrt.layers import Layer
from targets.tensorrt.options import Options, Shape


@dataclass(frozen=True)
class Engine:
    """A built engine; the sidecar stores every field except `path` and `reused`.

    Attributes:
        path: The plan file, exactly as TensorRT wrote it.
        fingerprint: What it was built from and for.
        options: The builder's options.
        shape: Of its input.
        layers: Its layers; empty if this TensorRT lists names only.
        reused: Whether an earlier build made it.
        placement: Which layers run on the accelerator and which on the GPU; None for an engine
            without accelerator, or if TensorRT does not report it.
    """

    path: Path
    fingerprint: Fingerprint
    options: Options
    shape: Shape
    layers: list[Layer]
    reused: bool
    placement: DlaPlacement | None = None

    @property
    def sidecar(self) -> Path:
        """The JSON file beside it."""
        return _sidecar_path(self.path)


def write_sidecar(engine: Engine) -> None:
    """Write an engine's sidecar."""
    document = {
        "sha256": file_digest(engine.path),
        "fingerprint": dataclasses.asdict(engine.fingerprint),
        "options": dataclasses.asdict(engine.options),
        "input": {"name": "images", "shape": engine.shape},
        "output": {"name": "logits"},
        "shares": dataclasses.asdict(engine.placement) if engine.placement else None,
        "layers": [dataclasses.asdict(layer) for layer in engine.layers],
    }
    write_durably(engine.sidecar, json.dumps(document, indent=1) + "\n")


def load_engine(path: Path) -> Engine | None:
    """Read an engine's sidecar; None if a file is missing or damaged, or the two do not match."""
    try:
        document = json.loads(_sidecar_path(path).read_text())
        if document["sha256"] != file_digest(path):
            return None
        return Engine(
            path,
            Fingerprint(**document["fingerprint"]),
            Options(**document["options"]),
            tuple(document["input"]["shape"]),
            [Layer(**row) for row in document["layers"]],
            reused=True,
            placement=_placement(document["shares"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _placement(document: dict[str, list[str]] | None) -> DlaPlacement | None:
    if document is None:
        return None
    return DlaPlacement(tuple(document["on_dla"]), tuple(document["on_gpu"]))


def _sidecar_path(path: Path) -> Path:
    return path.with_suffix(".json")
