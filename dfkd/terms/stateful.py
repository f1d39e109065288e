"""Terms that keep values or train parameters from batch to batch."""

from typing import Any

from torch import Tensor, nn


class StatefulTerm:
    """Base class of stateful terms. By default it has no state and no parameters.

    The constructor of a subclass takes the teacher and the options of the term.
    """

    def __call__(self, **inputs: Any) -> Tensor:
        """Return the value for a batch, a scalar.

        Args:
            inputs: The inputs that the table of terms lists, by name.
        """
        raise NotImplementedError  # Each stateful term defines it; the others have defaults.

    def parameters(self) -> list[nn.Parameter]:
        """Return the parameters that the term itself optimizes."""
        return []

    def step(self, factor: float = 1.0) -> None:
        """Take an optimizer step for `parameters`, at `factor` times the learning rate."""

    def end_batch(self) -> None:
        """Record the last batch; called once after its optimization."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state."""
