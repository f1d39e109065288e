"""The rows of the table: network, image size and run."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """One network and its run. Everything that is not set here has its default.

    Attributes:
        name: Name of the row.
        architecture: As in a run file.
        shape: (channels, height, width).
        method: `quantize.method`.
        student: As in a run file.
        classes: Number of classes.
        arguments: `teacher.factory_arguments`.
    """

    name: str
    architecture: str
    shape: tuple[int, int, int]
    method: str
    student: Any = "same"
    classes: int = 1_000
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The name of the row."""
        return self.name

    def digest(self) -> str:
        """Return the digest of network and run."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


LARGE, MIDDLE, SMALL, GREY = (3, 224, 224), (3, 64, 64), (3, 32, 32), (1, 32, 32)

JOBS = (
    Job("mobilenet_v2-224", "torchvision:mobilenet_v2", LARGE, "noise"),
    Job("resnet50-224", "torchvision:resnet50", LARGE, "noise"),
    Job("efficientnet_b0-224", "torchvision:efficientnet_b0", LARGE, "noise"),
    Job("mobilenet_v3_small-224", "torchvision:mobilenet_v3_small", LARGE, "generator-images"),
    Job("resnet18-64", "torchvision:resnet18", MIDDLE, "noise", classes=10),
    Job("squeezenet1_1-64", "torchvision:squeezenet1_1", MIDDLE, "generator-images", classes=10),
    Job("shufflenet-64", "torchvision:shufflenet_v2_x0_5", MIDDLE, "generator-images", classes=10),
    Job("resnet20-32", "resnet20", SMALL, "adversarial", classes=10),
    Job("lenet5-bn-32", "lenet5-bn", GREY, "adversarial", classes=10),
    Job("lenet5-half-32", "lenet5", GREY, "adversarial", {"architecture": "lenet5-half-bn"}, 10),
)
