"""The rows of the table: network, method and seed."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from benchmarks.cifar10_int8.networks import mobilenet_quarter, resnet8
from benchmarks.product_run import SHORT_GATE

Method = Literal["generator-images", "adversarial"]

OWN = {"resnet8": resnet8, "mobilenet_quarter": mobilenet_quarter}
"""Factories of the networks that are trained by the benchmark."""

TRAINED_BY_OTHERS = ("cifar10_resnet20", "cifar10_resnet32", "cifar10_resnet56")
"""Networks with a run file in benchmarks/runs."""

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Job:
    """One row of the table.

    Attributes:
        network: A key of `OWN`, or one of `TRAINED_BY_OTHERS`.
        method: How it is quantized.
        seed: Seed of the run.
    """

    network: str
    method: Method
    seed: int

    @property
    def key(self) -> str:
        """The name of the row."""
        return f"{self.network}-{self.method}-{self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """The part of the run file that does not describe the teacher."""
        return {
            "student": "same",
            "quantize": {"method": self.method},
            "gate": SHORT_GATE,
            "seed": self.seed,
        }

    def digest(self) -> str:
        """Return the digest of network and settings."""
        content = json.dumps({**asdict(self), **self.settings}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


JOBS = (
    *(Job(network, "generator-images", seed) for network in OWN for seed in SEEDS),
    *(Job(network, "generator-images", seed) for network in TRAINED_BY_OTHERS for seed in SEEDS),
    *(Job(network, "adversarial", seed) for network in TRAINED_BY_OTHERS for seed in SEEDS),
)
