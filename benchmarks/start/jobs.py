"""The rows of the table: teacher, student, budget, start and seed."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from benchmarks.data import MNIST_INPUT
from benchmarks.mnist.teachers import CLASSES, PROJECT, TEACHERS
from benchmarks.product_run import SHORT_GATE


@dataclass(frozen=True)
class Pair:
    """A student, and the budgets that fit its cost.

    Attributes:
        architecture: The student's.
        width: Multiplier of its layer widths.
        budgets: Student steps of the runs.
    """

    architecture: str
    width: float
    budgets: tuple[int, int]


PAIRS = {
    "lenet5": Pair("lenet5-half", 1.0, (500, 4_000)),
    "resnet20": Pair("resnet20", 0.25, (250, 1_000)),
}
"""By teacher (a key of `TEACHERS`), a student of half its width."""

SEEDS = (0, 1)


@dataclass(frozen=True)
class Job:
    """One row of the table.

    Attributes:
        teacher: A key of `PAIRS`.
        steps: Student steps.
        start: The student's weights before training.
        seed: Seed of the run.
    """

    teacher: str
    steps: int
    start: Literal["random", "teacher"]
    seed: int

    @property
    def key(self) -> str:
        """The name of the row."""
        return f"{self.teacher}-{self.steps}-{self.start}-{self.seed}"

    @property
    def run(self) -> dict[str, Any]:
        """The content of the run file."""
        teacher, student = TEACHERS[self.teacher], PAIRS[self.teacher]
        return {
            "name": self.key,
            "teacher": {
                "weights": str(PROJECT / teacher.weights),
                "architecture": teacher.architecture,
                "width": teacher.width,
                "classes": CLASSES,
            },
            "input": {
                "shape": list(MNIST_INPUT.shape),
                "mean": list(MNIST_INPUT.mean),
                "std": list(MNIST_INPUT.std),
            },
            "student": {
                "architecture": student.architecture,
                "width": student.width,
                "start": self.start,
            },
            "distill": {"budget": {"steps": self.steps}},
            "quantize": {"method": "generator-images"},
            "gate": SHORT_GATE,
            "seed": self.seed,
        }

    def digest(self) -> str:
        """Return the digest of the settings."""
        run = {key: value for key, value in self.run.items() if key != "teacher"}
        content = json.dumps({**asdict(self), **run}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]


JOBS = tuple(
    Job(teacher, steps, start, seed)
    for budget in (0, 1)
    for seed in SEEDS
    for teacher, pair in PAIRS.items()
    for steps in pair.budgets[budget : budget + 1]
    for start in ("random", "teacher")
)
