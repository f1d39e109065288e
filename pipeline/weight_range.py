"""How much of int8's range a run's weights may use. Imports no torch."""

from pipeline.config import RunConfig
from targets.catalogue import needs_half_range_weights


def half_range(config: RunConfig) -> bool:
    """Whether int8 weights keep to half of their range; `auto` asks the run's targets."""
    if config.quantize.weight_range == "auto":
        return any(needs_half_range_weights(target) for target in config.targets)
    return config.quantize.weight_range == "half"
