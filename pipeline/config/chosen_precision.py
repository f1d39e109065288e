"""Choose the data type of training from the run file and this machine. Imports no torch."""

from pathlib import Path
from typing import Literal

from base.errors import InputError
from pipeline.config.schema import RunConfig
from targets.catalogue.instruction_sets import this_cpu

NVIDIA_GPU = Path("/dev/nvidia0")
"""Exists if the machine has an NVIDIA GPU and its driver."""


def chosen_precision(config: RunConfig) -> Literal["float32", "bfloat16"]:
    """Return the data type that the run file asks for; `auto` depends on this machine.

    It is a part of the keys of all steps that train, so that a training is continued only by a
    machine that computes in the same data type.
    """
    if config.precision == "auto":
        return "bfloat16" if _has_bfloat16(config) else "float32"
    return config.precision


def check_precision(config: RunConfig) -> None:
    """Check that this machine can compute in the data type that the run file asks for.

    Raises:
        InputError: If it would have to emulate it.
    """
    if config.precision == "bfloat16" and not _has_bfloat16(config):
        raise InputError(
            "precision: bfloat16 needs an x86 CPU with AVX512-BF16 or AMX, or an NVIDIA GPU; use "
            "auto"
        )


def _has_bfloat16(config: RunConfig) -> bool:
    return this_cpu().bfloat16 or (config.device != "cpu" and NVIDIA_GPU.exists())
