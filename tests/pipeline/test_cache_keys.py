"""A step's key changes with the code and data that its result depends on, and with nothing else.

The changes are made in a copy of the packages.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.support.quick_run import QUICK, ROOT, write_run

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
    # The version of the distribution is part of graphs, not of keys.
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
    """Replace a text that a file has exactly once."""
    path = folder / file
    content = path.read_text()
    assert content.count(old) == 1, (file, old)
    path.write_text(content.replace(old, new))


def changed_steps(original, copy):
    before, after = original[1], keys_of(copy)
    assert before.keys() == after.keys()
    return {step for step in before if before[step] != after[step]}


def append(folder, file, text):
    path = folder / file
    path.write_text(path.read_text() + text)


UNUSED_TERM = '''"""A new term."""

from torch import Tensor


def brightness(images: Tensor) -> Tensor:
    """Return the mean pixel value."""
    return images.mean()
'''


def without_effect(folder):
    """Make every change that must not repeat a step."""
    append(folder, "dfkd/training/loop.py", "\n# A comment.\n")
    append(folder, "dfkd/terms/certainty.py", '\n"""A string below everything."""\n')
    edit(folder, "dfkd/training/loop.py", '"""The one training loop', '"""The training loop')
    raised = "was replaced during the run; run again"
    edit(folder, "pipeline/steps/teacher.py", raised, "has changed; start again")
    reported = "starting again ({why})"
    edit(folder, "pipeline/training/checkpoint.py", reported, "so training starts again: {why}")
    edit(folder, "pipeline/steps/export.py", 'f"export: {sizes', 'f"written: {sizes')
    edit(folder, "pipeline/training/progress.py", "5.0", "7.0")
    edit(folder, "pipeline/training/metrics.py", "MAX_POINTS = 1_000", "MAX_POINTS = 500")
    edit(folder, "pipeline/config/sections.py", "opset: Literal", "new: bool = False\n    opset: Literal")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("dfkd/recipes/dafl.py", "terms=(", "average=0.5,\n    terms=("),
        ("dfkd/terms/diversity.py", "import torch\n", "import torch\n\nUNUSED = 1\n"),
        ("dfkd/models/wide_resnet.py", "import torch\n", "import torch\n\nUNUSED = 1\n"),
    ],
)
def test_change_of_an_unused_part_changes_no_key(original, copy, file, old, new):
    edit(copy, file, old, new)
    assert changed_steps(original, copy) == set()
