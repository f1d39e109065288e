"""The rows of the table: method, weight range and seed."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

from benchmarks.product_run import SHORT_GATE

Method = Literal["generator-images", "noise", "onnxruntime", "nncf", "modelopt"]
"""Two methods of the project, and three other tools with default settings, calibrated on noise."""


@dataclass(frozen=True)
class Job:
    """One row of the table.

    Attributes:
        method: How the network is quantized.
        weight_range: "half" limits int8 weights to the range -64 to 64.
        seed: Seed of all random numbers.
    """

    method: Method
    weight_range: Literal["full", "half"]
    seed: int

    @property
    def key(self) -> str:
        """The name of the row."""
        return f"{self.method}-{self.weight_range}-{self.seed}"

    @property
    def is_ours(self) -> bool:
        """Whether the project quantizes the network."""
        return self.method in ("generator-images", "noise")

    def digest(self) -> str:
        """Return the digest of the settings."""
        content = json.dumps({**asdict(self), "gate": SHORT_GATE}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


JOBS = tuple(
    Job(method, weight_range, seed)  # type: ignore[arg-type]
    for seed in (0, 1, 2)
    for method, weight_range in (
        ("noise", "full"),
        ("onnxruntime", "full"),
        ("nncf", "full"),
        ("modelopt", "full"),
        ("generator-images", "full"),
        ("generator-images", "half"),
    )
)
"""All rows, one seed after the other."""
