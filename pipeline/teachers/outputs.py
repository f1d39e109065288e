"""Take the logits from a network that returns several outputs."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from base.errors import InputError

MAX_LISTED_CHARACTERS = 200
"""Largest length of a list of names in an error message."""


class OutputPicker:
    """A forward hook that makes a network return only one of its outputs.

    Unlike a wrapper module, a hook does not change the names of the weights. It has no reference to
    the network, so `copy.deepcopy` copies it together with any network. If the network returns a
    tensor, the hook changes nothing: some networks return several outputs only during training.

    Args:
        architecture: The name of the network in error messages.
        output: A position or a name; None if no output is chosen.
    """

    def __init__(self, architecture: str, output: int | str | None) -> None:
        self.architecture = architecture
        self.output = output

    def __call__(self, network: nn.Module, inputs: Any, returned: Any) -> Any:
        """Return the chosen output.

        Raises:
            OutputError: If no output is chosen, there is no such output, or it is not a tensor.
        """
        if isinstance(returned, Tensor):
            return returned
        outputs = _by_key(returned)
        if not outputs:  # The shape of the logits is checked elsewhere.
            return returned
        if self.output is None or self.output not in outputs:
            missing = "" if self.output is None else f", but no output {self.output!r}"
            raise OutputError(
                f"architecture {self.architecture}: the network returns {_described(returned)}"
                f"{missing}; set output to the one with the logits, beside the architecture, such "
                f"as output: {_suggested(outputs)}"
            )
        chosen = outputs[self.output]
        if not isinstance(chosen, Tensor):
            raise OutputError(
                f"architecture {self.architecture}: output: {self.output} is a "
                f"{type(chosen).__name__}, not a tensor, in {_described(returned)}; set output to "
                f"the one with the logits, such as output: {_suggested(outputs)}"
            )
        return chosen


class OutputError(InputError):
    """The logits cannot be taken from what a network returns."""


def pick_output(network: nn.Module, architecture: str, output: int | str | None) -> nn.Module:
    """Make a network return one tensor, and return the network.

    Args:
        network: Any network; it gets a forward hook.
        architecture: The name of the network in error messages.
        output: The position or the name of the logits among its outputs. If None, a network that
            returns several outputs raises an error that explains this setting.
    """
    network.register_forward_hook(OutputPicker(architecture, output))
    return network


def _by_key(returned: Any) -> dict[Any, Any]:
    """Return the outputs by position and name; empty if the network returns a single object."""
    if isinstance(returned, Mapping):
        return dict(returned)
    if not isinstance(returned, (tuple, list)):
        return {}
    return {**dict(enumerate(returned)), **dict(zip(_fields(returned), returned, strict=False))}


def _fields(returned: Any) -> tuple[str, ...]:
    """Return the field names of a named tuple; empty for other sequences."""
    return getattr(returned, "_fields", ())


def _described(returned: Any) -> str:
    if isinstance(returned, Mapping):
        return f"a dict with the keys {_listed(returned)}"
    if _fields(returned):
        return f"a named tuple with the fields {_listed(_fields(returned))}"
    return f"a {'list' if isinstance(returned, list) else 'tuple'} of {len(returned)}"


def _listed(names: Any) -> str:
    text = ", ".join(map(str, names))
    return text if len(text) <= MAX_LISTED_CHARACTERS else f"{text[:MAX_LISTED_CHARACTERS]}..."


def _suggested(outputs: dict[Any, Any]) -> Any:
    """Return the name or position of the first output with the shape of logits, else the first."""
    names = sorted(outputs, key=lambda name: isinstance(name, int))  # Names before positions.
    matrices = (n for n in names if isinstance(outputs[n], Tensor) and outputs[n].ndim == 2)
    return next(matrices, names[0])
