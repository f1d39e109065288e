"""What the quantization table is made of: teachers, choices, bits, seeds."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config.run_file import read_run_file
from pipeline.config.schema import RunConfig
from pipeline.store.step_record import digest

RUNS = Path(__file__).parents[1] / "runs"

SEEDS = (0, 1, 2)

TEACHERS = ("cifar10_resnet20", "cifar10_resnet32", "cifar10_resnet56")

STEPS = 400
"""Student steps of a fine-tuning."""

SMALL = {
    "batch": 64.0,
    "width": 32.0,
    "latent": 256.0,
    "warmup_rounds": 300.0,
    "generator_lr": 3e-3,
}
"""Sizes, warm-up and rate for published losses, whose own take hours on two cores."""

SLOW = ("gdfq", "adadfq")
"""Take three times as long as ours: one seed of each."""

CHOICES: dict[str, dict[str, Any]] = {
    "noise": {"method": "noise"},
    "generator images": {"method": "generator-images"},
    "batch-norm images": {"method": "batch-norm-images"},
    "frozen generator": {"method": "frozen"},
    "adversarial": {"method": "adversarial"},
    "gdfq": {"recipe": "gdfq", "overrides": SMALL},
    "adadfq": {"recipe": "adadfq", "overrides": SMALL},
}
"""Sections `quantize` of a run file, by the name in the table. With `student: same` the generator
that goes on is one that learnt from the teacher alone, so that a fresh one is the same choice."""

LONGER = {"warmup_rounds": 3_000.0}

FEW_BITS: dict[str, dict[str, float]] = {
    "generator images": LONGER,
    "frozen generator": {**LONGER, "stages": 10.0},
    "adversarial": {**LONGER, "stages": 10.0},
}
"""Overrides below 8 bits, where images matter more and logits alone teach too little; tried on
training images, which the page says."""


@dataclass(frozen=True)
class Job:
    """One run: a teacher quantized as it is."""

    teacher: str
    choice: str
    weight_bits: int
    activation_bits: int
    seed: int

    @property
    def key(self) -> str:
        """Tells it from all others; also a file name."""
        bits = f"w{self.weight_bits}a{self.activation_bits}"
        return f"{self.teacher}_{self.choice}_{bits}_{self.seed}".replace(" ", "-")

    @property
    def few(self) -> bool:
        """Whether it is of fewer bits than runtimes take."""
        return min(self.weight_bits, self.activation_bits) < 8

    @property
    def overrides(self) -> dict[str, float]:
        """Numbers of the recipe that are other than its own."""
        few = FEW_BITS.get(self.choice, {}) if self.few else {}
        return {**CHOICES[self.choice].get("overrides", {}), **few}

    @property
    def probed(self) -> bool:
        """Whether torch and ONNX Runtime are compared on probes too."""
        return self.choice == "adversarial" and self.seed == 0 and self.weight_bits == 8

    def digest(self) -> str:
        """Of all that the row depends on except the engine: another one is another run."""
        config = self.config(Path("teachers"))
        return digest(config.model_dump(mode="json", exclude={"teacher": {"weights"}}))

    def config(self, teachers: Path) -> RunConfig:
        """Its run file; the weights lie under `teachers`."""
        config = read_run_file(RUNS / f"{self.teacher}.yaml")
        weights = Path(config.teacher.weights).relative_to(RUNS)
        section = {
            **CHOICES[self.choice],
            "overrides": self.overrides,
            "budget": {"steps": STEPS},
            "weight_bits": self.weight_bits,
            "activation_bits": self.activation_bits,
        }
        quantize = type(config.quantize).model_validate(section)
        teacher = config.teacher.model_copy(update={"weights": str(teachers / weights)})
        update = {"quantize": quantize, "teacher": teacher, "seed": self.seed}
        return config.model_copy(update=update)


def jobs() -> list[Job]:
    """Every run of the table, the most wanted first."""
    first = ["adversarial", *(choice for choice in CHOICES if choice not in SLOW)]
    return [
        Job(teacher, choice, bits, bits, seed)
        for teachers, bits in ((TEACHERS, 8), (TEACHERS[:1], 4))
        for choice in dict.fromkeys([*first, *SLOW])
        for seed in (SEEDS[:1] if choice in SLOW else SEEDS)
        for teacher in teachers
    ]
