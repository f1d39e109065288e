"""The data type of training in the keys of the steps."""

import pytest

from pipeline.config import chosen_precision as module
from pipeline.config.chosen_precision import chosen_precision
from pipeline.config.run_file import parse_run
from pipeline.config.step_settings import torch_settings
from targets.catalogue.instruction_sets import Cpu
from tests.support.quick_run import QUICK


@pytest.mark.parametrize(("bfloat16", "chosen"), [(True, "bfloat16"), (False, "float32")])
def test_auto_depends_on_the_cpu_and_is_resolved_in_the_keys(monkeypatch, bfloat16, chosen):
    monkeypatch.setattr(module, "this_cpu", lambda: Cpu("", "x86_64", "vnni", bfloat16))
    automatic = parse_run(QUICK, "run.yaml")
    assert chosen_precision(automatic) == chosen
    assert torch_settings(automatic)["precision"] == chosen
    explicit = parse_run({**QUICK, "precision": chosen}, "run.yaml")
    assert torch_settings(automatic) == torch_settings(explicit)
