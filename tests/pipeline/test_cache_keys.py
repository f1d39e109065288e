"""A step's key changes with the code and data that its result depends on, and with nothing else.

The changes are made in a copy of the packages.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.support.quick_run import ROOT, write_run

PACKAGES = ("base", "pipeline", "dfkd", "targets")

KEYS = """
import json, sys
from pipeline.chain import chain, step_key
from pipeline.config.run_file import read_run_file
from pipeline.store.step_record import Artifact

config = read_run_file(sys.argv[1])
keys = {}
for step in chain(config):
    artifacts = {role: Artifact("name", "0" * 64, 0) for role in step.needs(config, step.target)}
    settings = step.settings(config, step.target)
    keys[step.name] = step_key(step, config, settings, artifacts)
assert "torch" not in sys.modules
print(json.dumps(keys))
"""


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    copy_packages(ROOT, folder)
    return folder, keys_of(folder)


@pytest.fixture
def copy(original, tmp_path):
    copy_packages(original[0], tmp_path)
    return tmp_path


def copy_packages(source, target):
    for package in PACKAGES:
        shutil.copytree(
            source / package, target / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    write_run(target)


def environment(folder):
    return {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def keys_of(folder):
    """Return the key of every step, by the step's name, as computed in a copy."""
    result = subprocess.run(
        [sys.executable, "-c", KEYS, str(folder / "run.yaml")],
        capture_output=True,
        check=False,
        text=True,
        cwd=folder,
        env=environment(folder),
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def edit(folder, file, old, new):
    """Replace the first occurrence of a text."""
    path = folder / file
    content = path.read_text()
    assert old in content, (file, old)
    path.write_text(content.replace(old, new, 1))


def changed_steps(original, copy):
    before, after = original[1], keys_of(copy)
    assert before.keys() == after.keys()
    return {step for step in before if before[step] != after[step]}


def test_names_of_classes_repeat_no_training(original, copy):
    edit(
        copy, "run.yaml", "  classes: 10\n", f"  classes: 10\n  class_names: {list('abcdefghij')}\n"
    )
    assert changed_steps(original, copy) == {"export"}


NEW_TERM = '''"""A new term."""

from torch import Tensor


def brightness(images: Tensor) -> Tensor:
    """Return the mean pixel value."""
    return images.mean()
'''

NEW_RECIPE = '''"""A new recipe."""

from dfkd.composition import Term
from dfkd.recipe import Recipe

NEW = Recipe(name="new", citation="none", terms=(Term("certainty", 1.0),))
'''

NEW_FILES = {
    "dfkd/terms/brightness.py": NEW_TERM,
    "dfkd/recipes/new.py": NEW_RECIPE,
    "dfkd/models/new.py": "WIDTH = 3\n",
}

WITHOUT_EFFECT = [
    ("dfkd/training/loop.py", "import torch\n", "import torch  # a comment\n"),
    ("dfkd/terms/certainty.py", '"""', '"""Changed. '),
    ("dfkd/training/generator_phase.py", "'s {quantity} is {value}", ": {quantity} of {value}"),
    ("pipeline/steps/teacher.py", "was replaced during the run; run again", "has changed"),
    ("pipeline/steps/export.py", 'f"export: {sizes', 'f"written: {sizes'),
    ("pipeline/training/checkpoint.py", "resuming from a checkpoint", "continuing"),
    ("pipeline/training/progress.py", "interval_s: float = 30.0", "interval_s: float = 7.0"),
    ("pipeline/training/metrics.py", "MAX_POINTS = 1_000", "MAX_POINTS = 500"),
    ("pipeline/reporter.py", "def say(", "def also(self): ...\n\n    def say("),
    ("pipeline/config/sections.py", '"""', '"""Changed. '),
    ("pipeline/config/gate_plan.py", "MIN_SMALL_ROUNDS = 40", "MIN_SMALL_ROUNDS = 32"),
    ("pipeline/config/batch_limit.py", "MAX_PIXELS = 8", "MAX_PIXELS = 9"),
    ("dfkd/recipes/dafl.py", "rounds=200 * 120", "rounds=100 * 120"),
    ("dfkd/recipes/zeroq.py", "citation=", "average=0.5,\n    citation="),
    ("dfkd/recipes/house.py", '"Ours. Terms', '"By us. Terms'),
    ("pipeline/store/code_digest.py", "TABLES = ", "A = 1\nTABLES = "),
    ("dfkd/terms/diversity.py", "\nfrom torch import", "\nA = 1\nfrom torch import"),
    ("dfkd/models/wide_resnet.py", "\nfrom torch import", "\nA = 1\nfrom torch import"),
    ("dfkd/memory/vae_replay.py", "\nfrom torch import", "\nA = 1\nfrom torch import"),
    (
        "dfkd/terms/table.py",
        "TERMS: dict[str, TermEntry] = {",
        "TERMS: dict[str, TermEntry] = {\n"
        '    "brightness": TermEntry("dfkd.terms.brightness:brightness", ("images",)),',
    ),
    (
        "dfkd/models/table.py",
        "ARCHITECTURES: dict[str, Architecture] = {",
        "ARCHITECTURES: dict[str, Architecture] = {\n"
        '    "new": Architecture("dfkd.models.new:New", "new", batch_norm=False),',
    ),
]
"""Changes that must not repeat a step: (file, text, new text)."""

TRAINING = {"distill", "quantize", "probe"}

WITH_EFFECT = [
    ("dfkd/terms/adversary.py", "return 1 - mean", "return 2 - mean", {"distill", "quantize"}),
    ("dfkd/terms/certainty.py", "\nfrom torch import", "\nA = 1\nfrom torch import", TRAINING),
    ("dfkd/models/generator_layers.py", "LeakyReLU(0.2)", "LeakyReLU(0.1)", TRAINING),
    ("dfkd/recipes/house.py", "student=Adam(4e-3)", "student=Adam(5e-3)", {"distill"}),
    ("dfkd/recipes/held_out.py", "Adam(5e-3", "Adam(6e-3", {"probe"}),
    (
        "dfkd/models/table.py",
        '"lenet5-half": _lenet(batch_norm=False, width=0.5)',
        '"lenet5-half": _lenet(batch_norm=False, width=0.4)',
        {"distill", "quantize", "export", "hops"},
    ),
    ("dfkd/models/lenet.py", "flatten(1)", "flatten(-3)", {"teacher", "export", "hops", *TRAINING}),
    ("dfkd/training/health.py", "\nfrom torch import", "\nA = 1\nfrom torch import", TRAINING),
    ("targets/bundle/verdict.py", "z * z / (2 *", "z * z / (3 *", {"hops", "validate"}),
    ("targets/lint/error_rules.py", "scale.size == 1", "scale.size == 2", {"export"}),
    ("targets/catalogue/catalogue.json", '"name": "arm"', '"name": "armed"', {"compile"}),
    (
        "pipeline/config/sections.py",
        "    agreement: Annotated[float",
        "    new: int = 1\n    agreement: Annotated[float",
        {"validate"},
    ),
]
"""Changes that must repeat some steps: (file, text, new text, steps)."""


def test_keys_ignore_messages_comments_and_unused_parts(original, copy):
    for file, old, new in WITHOUT_EFFECT:
        edit(copy, file, old, new)
    for file, content in NEW_FILES.items():
        (copy / file).write_text(content)
    assert changed_steps(original, copy) == set()


# Each case starts a process, so only every third is a quick test.
@pytest.mark.parametrize(
    ("file", "old", "new", "steps"),
    [
        *WITH_EFFECT[::3],
        *(
            pytest.param(*case, marks=pytest.mark.server)
            for index, case in enumerate(WITH_EFFECT)
            if index % 3
        ),
    ],
)
def test_keys_change_with_code_and_data_of_the_step(original, copy, file, old, new, steps):
    edit(copy, file, old, new)
    assert changed_steps(original, copy) == steps


def run(folder):
    """Run the chain in a copy. Return the labels of the steps that were not reused."""
    store = folder / "store"
    options = ["--store", str(store), "--output", str(folder / "bundle")]
    command = [sys.executable, "-m", "pipeline.cli", "run", "run.yaml", *options]
    result = subprocess.run(
        command, capture_output=True, check=False, text=True, cwd=folder, env=environment(folder)
    )
    assert result.returncode == 2, result.stderr  # Barely trained, so the verdict is fail.
    reused = {line.split(":")[0] for line in result.stderr.splitlines() if "reused" in line}
    steps = {f"{path.parent.name}" for path in store.glob("steps/*/*.json")}
    return {step for step in steps if not any(label.startswith(step) for label in reused)}


@pytest.mark.server
def test_run_reuses_all_steps_until_a_formula_changes(copy):
    tiny = {"batch": 16, "memory": 32}
    write_run(
        copy,
        distill={"budget": {"steps": 4}, "overrides": {**tiny, "student_steps": 4}},
        quantize={"budget": {"steps": 2}, "overrides": tiny, "calibration_images": 16},
        gate={"rounds": 2, "generators": 1},
    )
    steps = {"teacher", "distill", "quantize", "export", "probe"}
    steps |= {"hops", "compile", "validate"}
    assert run(copy) == steps
    for file, old, new in WITHOUT_EFFECT:
        edit(copy, file, old, new)
    for file, content in NEW_FILES.items():
        (copy / file).write_text(content)
    assert run(copy) == set()
    edit(copy, "dfkd/terms/adversary.py", "return -_divergence", "return -2 * _divergence")
    assert run(copy) == steps - {"teacher", "probe"}
