"""Load the weights of a network."""

from collections import OrderedDict
from collections.abc import Mapping

from torch import Tensor, nn


def load_state(network: nn.Module, state: Mapping[str, Tensor], *, strict: bool = True) -> None:
    """Load a state dict from a file into a network.

    Files keep only tensors. Some modules also ask for the version of the class that saved them,
    and refuse a state dict without it. The versions of the present classes are passed to them.

    Args:
        network: The network. It is changed in place.
        state: Its weights by name.
        strict: Whether missing and unexpected names are errors.
    """
    versioned = OrderedDict(state)
    versions = getattr(state, "_metadata", None)
    # The attribute in which torch looks for the versions.
    versioned._metadata = versions or network.state_dict()._metadata  # type: ignore[attr-defined]
    network.load_state_dict(versioned, strict=strict)
