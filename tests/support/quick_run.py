"""A run file for quick runs: the example's teacher, all steps, and little training.

The student it trains is poor.
"""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "mnist_lenet5"

GENERATOR = {"width": 16, "latent": 32}
"""A small one: the rounds are spent in it."""

QUICK: dict[str, Any] = {
    "name": "quick",
    "teacher": {
        "weights": str(EXAMPLE / "teacher.safetensors"),
        "architecture": "lenet5",
        "classes": 10,
    },
    "input": {"shape": [1, 32, 32], "mean": [0.1307], "std": [0.3081]},
    "student": {"architecture": "lenet5-half"},
    "distill": {
        "budget": {"steps": 40},
        "overrides": {"batch": 32, "memory": 512, "student_steps": 20, **GENERATOR},
    },
    "quantize": {
        "budget": {"steps": 10},
        "overrides": {"batch": 32, "memory": 512, "warmup_rounds": 20},
        "calibration_images": 128,
    },
    "gate": {"rounds": 20, "generators": 2},
}


def write_run(folder: Path, **changes: Any) -> Path:
    """Write a run file into `folder`: QUICK with some sections replaced."""
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump({**QUICK, **changes}))
    return path
