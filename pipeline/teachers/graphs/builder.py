"""Build a `GraphNetwork`: each call is added to it, and run on tensors without data."""

import logging
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from base.errors import first_line
from pipeline.teachers.graphs.errors import FREE_THE_BATCH, GraphError
from pipeline.teachers.graphs.network import BATCH, IMAGES, Argument, GraphNetwork, Step, Stored
from pipeline.teachers.graphs.values import BATCHES, Array, Static, Traced, line

CONSTANTS = "constants"
"""Name of the module that holds tensors that are not trained."""


FAKE_TENSOR_LOG = logging.getLogger("torch._subclasses.fake_tensor")
"""Prints a traceback for some calls that fail; the error says it in one line."""


class GraphBuilder:
    """Adds modules, tensors and calls to a network.

    Args:
        shape: Shape (C, H, W) of an image.
        batch: The graph's fixed number of images; None if it is free.

    Attributes:
        network: The network that is built, in eval mode.
        images: The network's input.
        node: Name of the graph's node that is being converted.
        steps: The calls so far.
        permuted: For the name of each transposed value: what was transposed, and the order of axes.
    """

    def __init__(self, shape: tuple[int, ...], batch: int | None) -> None:
        self._is_free = batch is None
        self.network = GraphNetwork().eval()
        self.network.add_module(CONSTANTS, nn.Module().eval())
        self.steps: list[Step] = []
        self.node = ""
        self.permuted: dict[str, tuple[Traced, tuple[int, ...]]] = {}
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        with self._fake:
            first, second = (torch.empty(batch, *shape) for batch in BATCHES)
        self.images = Traced(IMAGES, (first, second))
        self._stored: dict[str, tuple[Array, Stored]] = {}
        self._modules: dict[Any, str] = {}
        self._values: dict[str, list[Any]] = {
            IMAGES: [first, second],
            BATCH: list(BATCHES),
        }

    def call(self, function: Callable[..., Any], *arguments: Any) -> Traced:
        """Add a call of a function that returns one tensor.

        Args:
            function: Must be importable by its name, or a partial of such a function.
            arguments: Values of the graph, `BATCH`, or tensors of the network (`Stored`).

        Raises:
            GraphError: If the function refuses its arguments.
        """
        return self.call_several(function, 1, *arguments)[0]

    def call_several(
        self, function: str | Callable[..., Any], count: int, *arguments: Any
    ) -> list[Traced]:
        """Add a call that returns `count` tensors; several as a tuple.

        Raises:
            GraphError: As `call`.
        """
        names = tuple(str(len(self._values) + index) for index in range(count))
        given = tuple(self._argument(argument) for argument in arguments)
        step = Step(function, given, names, self.node)
        found = [self._run(step, index) for index in range(len(BATCHES))]
        self.steps.append(step)
        for name in names:
            self._values[name] = [outputs[name] for outputs in found]
        return [Traced(name, (self._values[name][0], self._values[name][1])) for name in names]

    def _run(self, step: Step, index: int) -> dict[str, Any]:
        values = {name: self._values[name][index] for name in step.reads}
        logged, FAKE_TENSOR_LOG.disabled = FAKE_TENSOR_LOG.disabled, True
        try:
            with self._fake, torch.no_grad():
                return self.network.run(step, values)
        except Exception as error:  # torch raises many types.
            how = "check the graph with ONNX Runtime" if self._is_free else FREE_THE_BATCH
            raise GraphError(f"its inputs do not fit ({first_line(error)}); {how}") from None
        finally:
            FAKE_TENSOR_LOG.disabled = logged

    def layer(
        self, key: tuple[Any, ...], name: str, make: Callable[[], nn.Module], *arguments: Any
    ) -> Traced:
        """Add a call of a module with weights.

        Args:
            key: Identifies the module: nodes with the same weights and settings share one.
            name: The module's name, which may be changed to be valid and unique.
            make: Makes the module.
            arguments: As for `call`.
        """
        if key not in self._modules:
            self._modules[key] = self._add(name, make().eval())
        return self.call_several(self._modules[key], 1, *arguments)[0]

    def module_called_once(self, value: Traced) -> nn.Module | None:
        """Return the module that made a value, if it was called once; None if a function did."""
        made_by = next((step for step in self.steps if value.name in step.outputs), None)
        if made_by is None or not isinstance(made_by.operation, str):
            return None
        calls = [step for step in self.steps if step.operation == made_by.operation]
        return self.network.get_submodule(made_by.operation) if len(calls) == 1 else None

    def stop_sharing(self, module: nn.Module) -> None:
        """Give a module of their own to later nodes with the same weights as this one."""
        self._modules = {
            key: path
            for key, path in self._modules.items()
            if self.network.get_submodule(path) is not module
        }

    def _argument(self, argument: Any) -> Argument:
        if isinstance(argument, Traced):
            return argument.name
        if isinstance(argument, Static):
            return self._store(argument)
        found: Argument = argument
        return found

    def _store(self, value: Static) -> Argument:
        """Return a constant as a tensor of the network.

        Raises:
            GraphError: If it depends on the batch size, and not only by repeating one image's row.
        """
        array = value.constant
        if array is None:
            return self._repeated(value).name
        if value.name in self._stored and self._stored[value.name][0] is array:
            return self._stored[value.name][1]
        name = f"{len(self._stored)}"
        constants = self.network.get_submodule(CONSTANTS)
        constants.register_buffer(name, to_tensor(array))
        self._stored[value.name] = array, Stored(f"{CONSTANTS}.{name}")
        return self._stored[value.name][1]

    def _repeated(self, value: Static) -> Traced:
        first, second = value.arrays
        differing = [axis for axis, size in enumerate(first.shape) if size != second.shape[axis]]
        row = first.take([0], differing[0]) if len(differing) == 1 else first
        if any(not np.array_equal(np.broadcast_to(row, a.shape), a) for a in value.arrays):
            raise GraphError(
                "reads a constant that depends on the number of images; export the graph with a "
                "fixed batch size of 1"
            )
        size = (first.shape[differing[0]], second.shape[differing[0]])
        lines = tuple(line(size) if axis == differing[0] else None for axis in range(first.ndim))
        one = Static((row, row), f"{value.name}/row")
        return self.call(partial(expanded, lines=lines), one, BATCH)

    def _add(self, name: str, module: nn.Module) -> str:
        """Add a module below the modules that its name lists, and return its path."""
        parts = [re.sub(r"\W", "_", part) for part in name.split(".") if part] or ["layer"]
        parent: nn.Module = self.network
        path: list[str] = []
        for part in parts[:-1]:
            part = _free_name(parent, part, reuse=True)
            if part not in parent._modules:
                parent.add_module(part, nn.Module().eval())
            parent, path = parent.get_submodule(part), [*path, part]
        last = _free_name(parent, parts[-1], reuse=False)
        parent.add_module(last, module)
        return ".".join([*path, last])


def expanded(tensor: Tensor, batch: int, *, lines: tuple[tuple[int, int] | None, ...]) -> Tensor:
    """Expand a tensor.

    Args:
        tensor: The tensor.
        batch: The number of images.
        lines: (factor, offset) for each axis of the result, whose size is factor * batch + offset;
            None for an axis that keeps its size.
    """
    return tensor.expand([-1 if at is None else at[0] * batch + at[1] for at in lines])


def _free_name(parent: nn.Module, part: str, *, reuse: bool) -> str:
    """Return a name that is no attribute of a module; an existing child's if `reuse`."""
    name, number = part, 2
    while hasattr(parent, name):
        child = parent._modules.get(name)
        # Only modules without a class of their own are containers.
        if reuse and child is not None and type(child) is nn.Module:
            return name
        name, number = f"{part}_{number}", number + 1
    return name


def to_tensor(array: Array) -> Tensor:
    """Return a constant as a tensor of its own."""
    return torch.from_numpy(np.array(array, order="C"))
