"""A node of a graph, as the converters of operators see it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import NodeProto, helper
from torch import nn

from pipeline.teachers.graphs.builder import GraphBuilder
from pipeline.teachers.graphs.errors import GraphError
from pipeline.teachers.graphs.values import Array, Static, Traced, Value


@dataclass(frozen=True)
class Node:
    """A node with at least one input that depends on the images.

    Attributes:
        proto: The node in the file.
        inputs: Its inputs; None for one that is left out.
        opset: Version of the operator set.
        builder: Receives the calls.
        file_batch: The fixed batch size in the file; None if it is free.
        readers: The number of nodes that read each value, by its name.
    """

    proto: NodeProto
    inputs: list[Value | None]
    opset: int
    builder: GraphBuilder
    file_batch: int | None
    readers: dict[str, int]

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute; texts as `str`, tensors as arrays."""
        for attribute in self.proto.attribute:
            if attribute.name == name:
                value = helper.get_attribute_value(attribute)
                return value.decode() if isinstance(value, bytes) else value
        return default

    def value(self, index: int) -> Value | None:
        """Return an input, or None if it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def traced(self, index: int = 0) -> Traced:
        """Return an input that must depend on the images.

        Raises:
            GraphError: If it does not.
        """
        value = self.value(index)
        if not isinstance(value, Traced):
            raise GraphError(f"input {index} must depend on the images")
        return value

    def static(self, index: int) -> Static:
        """Return an input that must not depend on the images.

        Raises:
            GraphError: If it does.
        """
        value = self.value(index)
        if not isinstance(value, Static):
            raise GraphError(
                f"input {index} is computed from the images, but must be a constant; export the "
                "graph with constant folding"
            )
        return value

    def constant(self, index: int) -> Array:
        """Return an input that must not depend on images or batch size.

        Raises:
            GraphError: If it does.
        """
        array = self.static(index).constant
        if array is None:
            raise GraphError(
                f"input {index} depends on the number of images; export the graph with a fixed "
                "batch size of 1"
            )
        return array

    def has(self, index: int) -> bool:
        """Return whether an input is present."""
        return self.value(index) is not None

    def integers(self, name: str, index: int | None = None) -> list[int] | None:
        """Return integers from an attribute, or from an input as newer operator sets have it.

        Args:
            name: The attribute.
            index: The input; None if no operator set has one.
        """
        if index is not None and self.has(index):
            return [int(value) for value in self.constant(index).reshape(-1)]
        found = self.attribute(name)
        return None if found is None else [int(value) for value in found]

    def axis(self, default: int, ndim: int) -> int:
        """Return the attribute `axis`, not negative."""
        found: int = self.attribute("axis", default)
        return found + ndim if found < 0 else found

    def fixed_sizes_from(self, axis: int) -> tuple[int, ...]:
        """Return the sizes of the first input from an axis on.

        Raises:
            GraphError: If one depends on the batch size.
        """
        images = self.traced()
        sizes = [images.fixed_size(index) for index in range(axis, images.ndim)]
        found = tuple(size for size in sizes if size is not None)
        if len(found) != len(sizes):
            raise GraphError("mixes the images of a batch; export the network in eval mode")
        return found

    def call(self, function: Callable[..., Any], *arguments: Any) -> Traced:
        """Add a call of a function; by default of all inputs."""
        return self.builder.call(function, *(arguments or self.inputs))

    def layer(
        self, make: Callable[[], nn.Module], weights: tuple[int, ...], *settings: Any
    ) -> Traced:
        """Add a call of a module with weights on the first input.

        Args:
            make: Makes the module.
            weights: The inputs that become its weights.
            settings: What else determines the module.
        """
        names = tuple(
            self.proto.input[index] if index < len(self.proto.input) else "" for index in weights
        )
        key = (self.proto.op_type, names, settings)
        return self.builder.layer(key, self._layer_name(names), make, self.traced())

    def _layer_name(self, weights: tuple[str, ...]) -> str:
        """Return a name from the weights' names or from the scopes in the node's name.

        Examples: `layer1.0.conv1.weight` and `/layer1/layer1.0/conv1/Conv` both give
        `layer1.0.conv1`.
        """
        stem, dot, last = weights[0].rpartition(".")
        if dot and last in ("weight", "scale"):
            return stem
        scopes: list[str] = []
        for scope in self.proto.name.split("/"):
            if scopes and scope.startswith(f"{scopes[-1]}."):
                scopes.pop()
            scopes.append(scope)
        if len(scopes) > 2 and scopes[-1].startswith(self.proto.op_type):
            scopes.pop()
        return ".".join(scope for scope in scopes if scope) or self.proto.op_type.lower()


def number(array: Array) -> float:
    """Return the only value of an array.

    Raises:
        GraphError: If it has several.
    """
    if array.size != 1:
        raise GraphError(f"a setting has {array.size} values instead of 1; correct the graph")
    return float(np.asarray(array).reshape(-1)[0])
