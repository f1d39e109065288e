"""Look-ups in an ONNX graph: constants, producers and consumers of tensors."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, numpy_helper

QDQ_OPERATORS = ("QuantizeLinear", "DequantizeLinear")

MOVEMENT_OPERATORS = (
    *("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose"),
    *("MaxPool", "Slice", "Pad"),
)
"""Operators whose outputs are input values or zeros, so that they stay on the quantizer's grid."""

LAYER_OPERATORS = {"Conv": 0, "Gemm": 0, "MatMul": -1, "ConvTranspose": 1}
"""Operators with weights, and the axis of the weights' output channels."""

ONNX_DOMAINS = ("", "ai.onnx")
"""Both names of the domain of ONNX's own operators."""

Array = NDArray[Any]


class Graph:
    """Look-ups in one state of a model; create a new one after changing the model.

    Attributes:
        nodes: In the order of the file.
        constants: Values of initializers and `Constant` nodes, by tensor name.
        types: Types of the elements of `constants` in the file (TensorProto.DataType). numpy has no
            names for some of them.
        producer: The node that computes a tensor.
        consumers: The nodes that use a tensor.
        outputs: Names of the graph's outputs.
        opset: Version of the default operator set.
    """

    def __init__(self, model: ModelProto) -> None:
        graph = model.graph
        self.nodes = list(graph.node)
        self.constants: dict[str, Array] = {
            tensor.name: _values(tensor) for tensor in graph.initializer
        }
        self.types = {tensor.name: int(tensor.data_type) for tensor in graph.initializer}
        self.producer: dict[str, NodeProto] = {}
        self.consumers: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            # An empty name is an operand that the node omits.
            self.producer.update({output: node for output in node.output if output})
            for name in filter(None, node.input):
                self.consumers.setdefault(name, []).append(node)
            value = _constant(node) if operator(node) == "Constant" else None
            if value is not None:
                self.constants[node.output[0]] = value
                self.types[node.output[0]] = _constant_type(node)
        self.outputs = {output.name for output in graph.output}
        self.opset = next((o.version for o in model.opset_import if o.domain in ONNX_DOMAINS), 0)

    def produced_by(self, tensor: str, *operators: str) -> NodeProto | None:
        """Return the node that computes a tensor if it has one of these operators, else None."""
        node = self.producer.get(tensor)
        return node if node is not None and operator(node) in operators else None

    def only_consumer(self, tensor: str) -> NodeProto | None:
        """Return a tensor's only consumer; None if it has several or is a graph output."""
        users = self.consumers.get(tensor, [])
        return users[0] if len(users) == 1 and tensor not in self.outputs else None

    def is_weight(self, tensor: str) -> bool:
        """Return whether a tensor is a constant, or computed from one by Q/DQ only."""
        return self._stored(tensor) is not None

    def dequantizer_of(self, tensor: str) -> NodeProto | None:
        """Return the DequantizeLinear behind an activation, or None if it is not quantized.

        Operators that only move values are skipped: their outputs stay on the quantizer's grid.
        """
        while (moved := self.produced_by(tensor, *MOVEMENT_OPERATORS)) is not None:
            tensor = moved.input[0]
        node = self.produced_by(tensor, "DequantizeLinear")
        return None if node is None or self.is_weight(node.input[0]) else node

    def scale_of(self, quantizer: NodeProto) -> float | None:
        """Return the scale of a Q or DQ; None if it is computed or per channel."""
        scale = self.constants.get(quantizer.input[1])
        return float(scale.reshape(())) if scale is not None and scale.size == 1 else None

    def follows_convolution(self, tensor: str) -> bool:
        """Return whether a tensor is a convolution's output, after batch norm and Q/DQ or not."""
        node = self.producer.get(tensor)
        while node is not None and operator(node) in (*QDQ_OPERATORS, "BatchNormalization"):
            node = self.producer.get(node.input[0])
        return node is not None and operator(node) == "Conv"

    def follows_quantized_convolution(self, tensor: str) -> bool:
        """Return whether a tensor is the float output of a convolution with a quantized input."""
        node = self.produced_by(tensor, "BatchNormalization")
        layer = self.produced_by(tensor if node is None else node.input[0], "Conv")
        return layer is not None and self.dequantizer_of(layer.input[0]) is not None

    def weight_of(self, layer: NodeProto) -> Array | None:
        """Return a layer's weights as they are stored; None if they are computed."""
        return self._stored(layer.input[1])

    def layers(self) -> Iterator[NodeProto]:
        """Yield the nodes with weights: convolutions and linear layers."""
        return (node for node in self.nodes if operator(node) in LAYER_OPERATORS)

    def _stored(self, tensor: str) -> Array | None:
        """Return the constant that is a tensor, or from which Q/DQ alone compute it."""
        while tensor not in self.constants:
            node = self.produced_by(tensor, *QDQ_OPERATORS)
            if node is None:
                return None
            tensor = node.input[0]
        return self.constants[tensor]


def operator(node: NodeProto) -> str:
    """Return the name of a node's operator, after its domain if that is not ONNX's."""
    return node.op_type if node.domain in ONNX_DOMAINS else f"{node.domain}::{node.op_type}"


def output_axis(layer: NodeProto) -> int:
    """Return the output-channel axis of a layer's weights; -1 is their last axis."""
    if layer.op_type == "Gemm":
        return 0 if attribute(layer, "transB") else 1
    return LAYER_OPERATORS[layer.op_type]


def node_name(node: NodeProto) -> str:
    """Return a node's name, or the name of its output or operator if it has none."""
    return node.name or next(filter(None, node.output), node.op_type)


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """Return the value of an integer, float or tensor attribute, or the default."""
    for found in node.attribute:
        if found.name == name:
            return {found.INT: found.i, found.FLOAT: found.f, found.TENSOR: found.t}.get(
                found.type, found
            )
    return default


def _constant(node: NodeProto) -> Array | None:
    """Return the numbers of a `Constant` node; None if they are text or sparse."""
    for found in node.attribute:
        if found.name == "value":
            return _values(found.t)
        if found.name in ("value_float", "value_floats"):
            return np.array(found.f if found.name == "value_float" else found.floats, np.float32)
        if found.name in ("value_int", "value_ints"):
            return np.array(found.i if found.name == "value_int" else found.ints, np.int64)
    return None


def _constant_type(node: NodeProto) -> int:
    """Return the element type of a `Constant` node with numbers."""
    stored = attribute(node, "value")
    if stored is not None:
        return int(stored.data_type)
    is_float = any(found.name in ("value_float", "value_floats") for found in node.attribute)
    return TensorProto.FLOAT if is_float else TensorProto.INT64


def _values(tensor: TensorProto) -> Array:
    try:
        return numpy_helper.to_array(tensor)
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"malformed graph: data and shape {list(tensor.dims)} do not agree: {tensor.name!r}; "
            "export the graph again"
        ) from None
