"""The data type of training: chosen from the run file and the machine, and part of the keys."""

import pytest

from base.errors import InputError
from pipeline.config import chosen_precision as module
from pipeline.config.chosen_precision import check_precision, chosen_precision
from pipeline.config.run_file import parse_run
from pipeline.config.step_settings import torch_settings
from targets.catalogue.instruction_sets import Cpu
from tests.support.quick_run import QUICK


def config(**keys):
    return parse_run({**QUICK, **keys}, "run.yaml")


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Set whether this machine has bfloat16 instructions and an NVIDIA GPU."""

    def become(bfloat16, gpu=False):
        monkeypatch.setattr(module, "this_cpu", lambda: Cpu("", "x86_64", "vnni", bfloat16))
        monkeypatch.setattr(module, "NVIDIA_GPU", tmp_path if gpu else tmp_path / "missing")

    return become


@pytest.mark.parametrize(
    ("bfloat16", "gpu", "device", "chosen"),
    [
        (True, False, "auto", "bfloat16"),
        (False, False, "auto", "float32"),
        (False, True, "auto", "bfloat16"),
        (False, True, "cpu", "float32"),
        (True, False, "cpu", "bfloat16"),
    ],
)
def test_auto_depends_on_the_machine_and_is_resolved_in_the_keys(
    machine, bfloat16, gpu, device, chosen
):
    machine(bfloat16, gpu)
    automatic = config(device=device)
    assert chosen_precision(automatic) == chosen
    assert torch_settings(automatic)["precision"] == chosen
    explicit = config(device=device, precision=chosen)
    assert torch_settings(automatic) == torch_settings(explicit)


def test_bfloat16_that_would_be_emulated_is_refused(machine):
    machine(bfloat16=False)
    with pytest.raises(InputError, match="AVX512-BF16 or AMX, or an NVIDIA GPU; use auto"):
        check_precision(config(precision="bfloat16"))
    check_precision(config(precision="float32"))
    machine(bfloat16=True)
    check_precision(config(precision="bfloat16"))
