"""How much of the int8 range a run's weights use. Imports no torch."""

from base.errors import InputError
from pipeline.config.chosen_targets import cpu_targets
from pipeline.config.schema import RunConfig


def half_range(config: RunConfig) -> bool:
    """Return whether int8 weights stay within half of the range.

    `weight_range: auto` chooses half if a target of the run needs it.

    Raises:
        InputError: If the run file asks for the full range and a target cannot use it.
    """
    saturating = [name for name, t in cpu_targets(config).items() if t.cpu.saturates]
    asked = config.quantize.weight_range
    if asked == "full" and saturating:
        raise InputError(
            f"quantize.weight_range: full does not suit {saturating[0]}, whose int8 kernels add in "
            "16 bits; use auto or half"
        )
    return asked == "half" or bool(asked == "auto" and saturating)
