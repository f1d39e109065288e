"""The rows of the table: teacher, kind of its file, student and seed."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from benchmarks.product_run import SHORT_GATE

CIFAR10_STEPS = 12_000
"""Student steps from ResNet-20 to ResNet-8: about 30 minutes on two cores."""


@dataclass(frozen=True)
class Job:
    """One row of the table.

    Attributes:
        teacher: A key of `benchmarks.onnx_teachers.teachers.TEACHERS`.
        file: The teacher's file: an ONNX graph with folded batch norms, or its state dict.
        student: Architecture of the student; "same" quantizes the teacher itself.
        steps: Student steps of the distillation; None for the default.
        seed: Seed of the run.
    """

    teacher: str
    file: Literal["onnx", "state dict"]
    student: str = "same"
    steps: int | None = None
    seed: int = 0

    @property
    def key(self) -> str:
        """The name of the row."""
        return f"{self.teacher}-{self.file.replace(' ', '-')}-{self.student}-{self.seed}"

    @property
    def settings(self) -> dict[str, Any]:
        """The part of the run file that does not describe the teacher."""
        settings: dict[str, Any] = {"gate": SHORT_GATE, "seed": self.seed}
        if self.student == "same":
            return {**settings, "student": "same", "quantize": {"method": "generator-images"}}
        if self.steps is not None:
            settings["distill"] = {"budget": {"steps": self.steps}}
        return {**settings, "student": {"architecture": self.student}}

    def digest(self) -> str:
        """Return the digest of teacher and settings."""
        content = json.dumps({**asdict(self), **self.settings}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


JOBS = (
    Job("lenet5-bn", "onnx"),
    Job("resnet20", "onnx"),
    Job("efficientnet-lite0", "onnx"),
    *(
        Job("lenet5-bn", file, "lenet5-half-bn", seed=seed)
        for seed in (0, 1, 2)
        for file in ("state dict", "onnx")
    ),
    Job("resnet20", "state dict", "resnet8", CIFAR10_STEPS),
    Job("resnet20", "onnx", "resnet8", CIFAR10_STEPS),
)
"""All rows."""
