"""What many tests need: a quick run file and the bundle it leads to."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "mnist_lenet5"

QUICK = {
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
        "overrides": {"batch": 32, "memory": 512, "student_steps": 20},
    },
    "quantize": {
        "budget": {"steps": 10},
        "overrides": {"batch": 32, "memory": 512, "warmup_rounds": 60},
        "calibration_images": 128,
    },
    "gate": {"rounds": 120, "generators": 2},
}
"""The example teacher at a tenth of the cost: every stage real, the student a poor one."""


def write_run(folder: Path, **changes) -> Path:
    """A run file in `folder`: QUICK with some sections changed."""
    path = folder / "run.yaml"
    path.write_text(yaml.safe_dump({**QUICK, **changes}))
    return path


@pytest.fixture(scope="session")
def quick_store(tmp_path_factory):
    """A store that the tests of a session share, as a user's runs do."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="session")
def same_bundle(tmp_path_factory, quick_store):
    """A bundle of the example teacher quantized as it is: a good student, had quickly."""
    from pipeline.progress import LineReporter
    from pipeline.run import execute
    from pipeline.run_file import read_run_file
    from pipeline.store import Store

    folder = tmp_path_factory.mktemp("same")
    run_file = write_run(folder, name="same", student="same")
    config = read_run_file(run_file)
    execute(config, Store(str(quick_store)), folder / "bundle", LineReporter(print))
    return folder / "bundle"
