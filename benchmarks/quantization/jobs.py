"""The jobs of the quantization table: teacher, choice of method, bits and seed of every run."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from benchmarks.row_digest import Data, Defaults, DigestRules, read_rules
from pipeline.config import schema
from pipeline.config.run_file import read_run_file
from pipeline.config.schema import RunConfig
from pipeline.config.section import Section

RUNS = Path(__file__).parents[1] / "runs"

DEFAULTS_FILE = Path(__file__).with_name("defaults.json")

SEEDS = (0, 1, 2)

TEACHERS = ("cifar10_resnet20", "cifar10_resnet32", "cifar10_resnet56")

STEPS = 400
"""Number of student steps in a run that fine-tunes the student."""

PROBE_ROUNDS = 400
"""Rounds of each held-out generator, the same for every method."""

SMALL = {
    "batch": 64.0,
    "width": 32.0,
    "latent": 256.0,
    "warmup_rounds": 300.0,
    "generator_lr": 3e-3,
}
"""Overrides of the published recipes, which at their published sizes would take hours on two
cores."""

SLOW = ("gdfq", "adadfq")
"""Choices that take three times as long as the others and therefore run with one seed only."""

CHOICES: dict[str, dict[str, Any]] = {
    "noise": {"method": "noise"},
    "generator images": {"method": "generator-images"},
    "batch-norm images": {"method": "batch-norm-images"},
    "frozen generator": {"method": "frozen"},
    "adversarial": {"method": "adversarial"},
    "gdfq": {"recipe": "gdfq", "overrides": SMALL},
    "adadfq": {"recipe": "adadfq", "overrides": SMALL},
}
"""The section `quantize` of the run file, by the name in the table. The method "fresh" is not
listed, because with `student: same` it does the same as "adversarial"."""

LONGER_WARMUP = {"warmup_rounds": 3_000.0}

FEW_BITS: dict[str, dict[str, float]] = {
    "generator images": LONGER_WARMUP,
    "frozen generator": {**LONGER_WARMUP, "stages": 10.0},
    "adversarial": {**LONGER_WARMUP, "stages": 10.0},
}
"""Overrides below 8 bits, where comparing only logits gives a poor student; chosen on training
images."""


@dataclass(frozen=True)
class Job:
    """One run of the table, which quantizes a teacher without distillation.

    Attributes:
        teacher: One of `TEACHERS`.
        choice: A key of `CHOICES`.
        weight_bits: Bits of weights.
        activation_bits: Bits of activations.
        seed: Seed of the run.
    """

    teacher: str
    choice: str
    weight_bits: int
    activation_bits: int
    seed: int

    @property
    def key(self) -> str:
        """The unique name of the job, which is also a file name."""
        bits = f"w{self.weight_bits}a{self.activation_bits}"
        return f"{self.teacher}_{self.choice}_{bits}_{self.seed}".replace(" ", "-")

    @property
    def overrides(self) -> dict[str, float]:
        """The overrides of the recipe."""
        few = min(self.weight_bits, self.activation_bits) < 8
        more = FEW_BITS.get(self.choice, {}) if few else {}
        return {**CHOICES[self.choice].get("overrides", {}), **more}

    @property
    def probed(self) -> bool:
        """Whether the job also compares torch and ONNX Runtime on probe images."""
        return self.choice == "adversarial" and self.seed == 0 and self.weight_bits == 8

    def config(self, teachers: Path) -> RunConfig:
        """Return the run file of the job, with the weights in the folder `teachers`."""
        config = read_run_file(RUNS / f"{self.teacher}.yaml")
        weights = Path(config.teacher.weights).relative_to(RUNS)
        section = {
            # The rows are older than the adjustments of ranges and scales.
            "adjust": "off",
            **CHOICES[self.choice],
            "overrides": self.overrides,
            "budget": {"steps": STEPS},
            "weight_bits": self.weight_bits,
            "activation_bits": self.activation_bits,
        }
        quantize = type(config.quantize).model_validate(section)
        teacher = config.teacher.model_copy(update={"weights": str(teachers / weights)})
        gate = config.gate.model_copy(update={"rounds": PROBE_ROUNDS})
        update = {"quantize": quantize, "teacher": teacher, "gate": gate, "seed": self.seed}
        update["precision"] = "float32"  # As the rows that are already measured.
        return config.model_copy(update=update)

    def as_data(self) -> Data:
        """Return the run file of the job, without the path of the weights, as JSON data."""
        data = section_data(self.config(Path("teachers")))
        del data["teacher"]["weights"]
        return data

    def digest(self) -> str:
        """Return the digest of `as_data`, see `benchmarks.row_digest`."""
        return digest_rules().digest(self.as_data())


@cache
def digest_rules() -> DigestRules:
    """Return the fixed defaults of this table."""
    sections = [
        section
        for section in vars(schema).values()
        if isinstance(section, type) and issubclass(section, Section)
    ]
    return read_rules(DEFAULTS_FILE, section_defaults(sections))


def section_data(value: Any) -> Data:
    """Return a section of a run file, or a value in it, as data with the names of the types."""
    if isinstance(value, BaseModel):
        fields = {name: section_data(getattr(value, name)) for name in type(value).model_fields}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, tuple | list):
        return [section_data(item) for item in value]
    return value


def section_defaults(sections: Iterable[type[BaseModel]]) -> Defaults:
    """Return the defaults of sections of a run file."""
    return {
        section.__name__: {
            name: section_data(field.default)
            for name, field in section.model_fields.items()
            if field.default is not PydanticUndefined
        }
        for section in sections
    }


def jobs() -> list[Job]:
    """Return every job of the table in the order in which to run them."""
    first = ["adversarial", *(choice for choice in CHOICES if choice not in SLOW)]
    return [
        Job(teacher, choice, bits, bits, seed)
        for teachers, bits in ((TEACHERS, 8), (TEACHERS[:1], 4))
        for choice in dict.fromkeys([*first, *SLOW])
        for seed in (SEEDS[:1] if choice in SLOW else SEEDS)
        for teacher in teachers
    ]
