"""What an engine depends on: the same fingerprint, no rebuild; any difference, a new engine."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Fingerprint:
    """All that two builds must share for one engine to stand for both.

    Attributes:
        graph: sha256 of the ONNX file.
        tensorrt: Its version.
        cuda: Its version.
        compute_capability: Of the GPU.
        device: The module's model; engines are tuned to it, not to its compute capability alone.
        l4t: The board support package.
        power_mode: As nvpmodel calls it.
        options: What the builder was told, as JSON.
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
        """One name for all of it."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def differences(self, other: "Fingerprint") -> list[str]:
        """The fields in which another one differs, for people."""
        return [
            f"{field.name}: {getattr(other, field.name)} -> {getattr(self, field.name)}"
            for field in dataclasses.fields(self)
            if getattr(self, field.name) != getattr(other, field.name)
        ]


def options_text(options: Any) -> str:
    """A builder's options as one comparable string."""
    return json.dumps(dataclasses.asdict(options), sort_keys=True)
