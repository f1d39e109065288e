"""Everything that an engine depends on; a changed fingerprint means that it must be rebuilt."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fingerprint:
    """The facts that must be equal for an engine to be reused.

    Attributes:
        graph: SHA-256 of the ONNX file.
        tensorrt: TensorRT version.
        cuda: CUDA version.
        compute_capability: Of the GPU.
        device: The module's name; engines are optimized for the module, not only its GPU.
        l4t: Version of the board support package.
        power_mode: Its name in nvpmodel.
        options: The builder's options, as JSON.
    """

    graph: str
    tensorrt: str
    cuda: str
    compute_capability: str
    device: str
    l4t: str
    power_mode: str
    options: str

    @property
    def digest(self) -> str:
        """SHA-256 of all fields."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: "Fingerprint") -> list[str]:
        """Return "FIELD: OTHER VALUE -> VALUE" for every field that differs."""
        return [
            f"{field.name}: {getattr(other, field.name)} -> {getattr(self, field.name)}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != getattr(other, field.name)
        ]


def options_text(options: Any) -> str:
    """Return a builder's options as a comparable JSON string."""
    return json.dumps(dataclasses.asdict(options), sort_keys=True)
