"""A torch network that runs the operators of a graph one after another."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

IMAGES, BATCH = "images", "batch"
"""Names of the network's input and of the number of images among its values."""


@dataclass(frozen=True)
class Stored:
    """An argument that is a tensor of the network.

    Attributes:
        path: Its name in the network's state dict.
    """

    path: str


Argument = str | Stored
"""The name of a value, or a tensor of the network."""


@dataclass(frozen=True)
class Step:
    """One call of a forward pass.

    Attributes:
        operation: The path of a module, or a function.
        arguments: What it is called with.
        outputs: Names of the values that it returns; several if it returns a tuple.
        node: The graph's node that it comes from.
    """

    operation: str | Callable[..., Any]
    arguments: tuple[Argument, ...]
    outputs: tuple[str, ...]
    node: str

    @property
    def reads(self) -> set[str]:
        """Names of the values among its arguments."""
        return {argument for argument in self.arguments if isinstance(argument, str)}


class GraphNetwork(nn.Module):
    """A network made from a graph. `GraphBuilder` adds its modules, tensors and steps.

    Attributes:
        steps: The calls of a forward pass, in order.
        output: Name of the value that is returned.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps: tuple[Step, ...] = ()
        self.output = IMAGES
        self._last_uses: tuple[frozenset[str], ...] = ()

    def set_steps(self, steps: list[Step], output: str) -> None:
        """Set the calls of a forward pass. Calls that the output does not depend on are left out.

        Args:
            steps: The calls in order.
            output: Name of the value to return.
        """
        needed, kept, last_uses = {output}, [], []
        for step in reversed(steps):
            if needed.isdisjoint(step.outputs):
                continue
            unused = {name for name in step.outputs if name not in needed}
            last_uses.append(frozenset((step.reads - needed) | unused))
            kept.append(step)
            needed |= step.reads
        self.steps, self.output = tuple(reversed(kept)), output
        self._last_uses = tuple(reversed(last_uses))

    def forward(self, images: Tensor) -> Tensor:
        """Return the value named `output` for (N, C, H, W) images."""
        values: dict[str, Any] = {IMAGES: images, BATCH: images.shape[0]}
        for step, last_uses in zip(self.steps, self._last_uses, strict=True):
            values.update(self.run(step, values))
            for name in last_uses:  # Frees memory.
                del values[name]
        result: Tensor = values[self.output]
        return result

    def run(self, step: Step, values: dict[str, Any]) -> dict[str, Any]:
        """Return the outputs of a step by name, given all earlier values."""
        arguments = [self._argument(argument, values) for argument in step.arguments]
        operation = step.operation
        call = self.get_submodule(operation) if isinstance(operation, str) else operation
        found = call(*arguments)
        if len(step.outputs) == 1:
            return {step.outputs[0]: found}
        return dict(zip(step.outputs, found, strict=True))

    def _argument(self, argument: Argument, values: dict[str, Any]) -> Any:
        if isinstance(argument, Stored):
            path, _, name = argument.path.rpartition(".")
            return getattr(self.get_submodule(path), name)
        return values[argument]
