"""The part of int8's range that a run's weights may use. Imports no torch."""

from base.errors import InputError
from pipeline.config.chosen_targets import cpu_targets
from pipeline.config.schema import RunConfig


def uses_half_range(config: RunConfig) -> bool:
    """Return whether int8 weights are limited to half of their range.

    `weight_range: auto` means half if an int8 kernel of any of the run's CPUs can saturate.

    Raises:
        InputError: If the run file requests the full range and one of its CPUs can saturate.
    """
    saturating = [name for name, t in cpu_targets(config).items() if t.cpu.saturates]
    requested = config.quantize.weight_range
    if requested == "full" and saturating:
        raise InputError(
            f"quantize.weight_range: full would overflow on target {saturating[0]}, whose int8 "
            "kernels add products in 16 bits; set it to auto or half"
        )
    return requested == "half" or bool(requested == "auto" and saturating)
