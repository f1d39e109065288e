"""Choose the data type of training from the run file and this CPU. Imports no torch."""

from typing import Literal

from pipeline.config.schema import RunConfig
from targets.catalogue.instruction_sets import this_cpu


def chosen_precision(config: RunConfig) -> Literal["float32", "bfloat16"]:
    """Return the data type that the run file asks for; `auto` depends on this CPU.

    It is a part of the keys of all steps that train.
    """
    if config.precision == "auto":
        return "bfloat16" if this_cpu().bfloat16 else "float32"
    return config.precision
