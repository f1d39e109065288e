"""An engine and its sidecar: the file is TensorRT's own, what is known of it stands beside it."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from base.durable_files import write_durably
from base.file_digest import file_digest
from targets.tensorrt.dla.lowering import DlaPlacement
from targets.tensorrt.fingerprint import Fingerprint
from targets.tensorrt.layers import Layer
from targets.tensorrt.options import Options, Shape


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
    shares: DlaPlacement | None = None

    @property
    def sidecar(self) -> Path:
        """The file beside it."""
        return _sidecar_place(self.path)


def write_sidecar(engine: Engine) -> None:
    """Write down what programs beside this one need to know of an engine."""
    document = {
        "sha256": file_digest(engine.path),
        "fingerprint": dataclasses.asdict(engine.fingerprint),
        "options": dataclasses.asdict(engine.options),
        "input": {"name": "images", "shape": engine.shape},
        "output": {"name": "logits"},
        "shares": dataclasses.asdict(engine.shares) if engine.shares else None,
        "layers": [dataclasses.asdict(layer) for layer in engine.table],
    }
    write_durably(engine.sidecar, json.dumps(document, indent=1) + "\n")


def load_engine(path: Path) -> Engine | None:
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


def _shares(document: dict[str, list[str]] | None) -> DlaPlacement | None:
    if document is None:
        return None
    return DlaPlacement(tuple(document["on_dla"]), tuple(document["on_gpu"]))


def _sidecar_place(path: Path) -> Path:
    return path.with_suffix(".json")
