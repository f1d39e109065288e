"""Reading an ONNX graph: what is constant, what makes a tensor, what uses it."""

from collections.abc import Iterator
from typing import Any

from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, numpy_helper

QDQ_OPERATORS = ("QuantizeLinear", "DequantizeLinear")

MOVEMENT_OPERATORS = (
    *("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose"),
    *("MaxPool", "Slice", "Pad"),
)
"""Operators that hand values on as they are (and zeros: zero points are zero)."""

Array = NDArray[Any]


class Graph:
    """Look-ups over a model as it is; a change to the model asks for a new one.

    Attributes:
        nodes: In the order of the file.
        constants: Initialisers and `Constant` nodes by tensor name.
        producer: The node that makes a tensor.
        consumers: The nodes that use a tensor.
        outputs: Names of the graph's outputs.
        opset: Of the default domain.
    """

    def __init__(self, model: ModelProto) -> None:
        graph = model.graph
        self.nodes = list(graph.node)
        self.constants: dict[str, Array] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer
        }
        self.producer: dict[str, NodeProto] = {}
        self.consumers: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            self.producer.update({output: node for output in node.output})
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)
            value = attribute(node, "value") if node.op_type == "Constant" else None
            if value is not None:
                self.constants[node.output[0]] = numpy_helper.to_array(value)
        self.outputs = {output.name for output in graph.output}
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)

    def produced_by(self, tensor: str, *kinds: str) -> NodeProto | None:
        """The node that makes a tensor, if it is of one of these kinds."""
        node = self.producer.get(tensor)
        return node if node is not None and node.op_type in kinds else None

    def only_consumer(self, tensor: str) -> NodeProto | None:
        """The one node that uses a tensor; None when there are more, or it leaves the graph."""
        users = self.consumers.get(tensor, [])
        return users[0] if len(users) == 1 and tensor not in self.outputs else None

    def is_weight(self, tensor: str) -> bool:
        """Whether a tensor is a constant, or one that was quantized."""
        if tensor in self.constants:
            return True
        node = self.produced_by(tensor, *QDQ_OPERATORS)
        return node is not None and self.is_weight(node.input[0])

    def dequantizer_of(self, tensor: str) -> NodeProto | None:
        """The DequantizeLinear that a tensor of activations comes from, when it is quantized.

        Moving values about leaves them on the quantizer's grid.
        """
        while (moved := self.produced_by(tensor, *MOVEMENT_OPERATORS)) is not None:
            tensor = moved.input[0]
        node = self.produced_by(tensor, "DequantizeLinear")
        return None if node is None or self.is_weight(node.input[0]) else node

    def scale_of(self, quantizer: NodeProto) -> float | None:
        """The scale of a pair's half; None when it is computed, or one for each channel."""
        scale = self.constants.get(quantizer.input[1])
        return float(scale.reshape(())) if scale is not None and scale.size == 1 else None

    def follows_convolution(self, tensor: str) -> bool:
        """Whether a tensor is what a convolution gives, perhaps normalised and quantized."""
        node = self.producer.get(tensor)
        while node is not None and node.op_type in (*QDQ_OPERATORS, "BatchNormalization"):
            node = self.producer.get(node.input[0])
        return node is not None and node.op_type == "Conv"

    def follows_quantized_convolution(self, tensor: str) -> bool:
        """Whether a tensor comes straight from a convolution that runs on int8."""
        node = self.produced_by(tensor, "BatchNormalization")
        layer = self.produced_by(tensor if node is None else node.input[0], "Conv")
        return layer is not None and self.dequantizer_of(layer.input[0]) is not None

    def weight_of(self, layer: NodeProto) -> Array | None:
        """A layer's weights as they are stored; None when they are computed."""
        tensor = layer.input[1]
        while tensor not in self.constants:
            node = self.produced_by(tensor, *QDQ_OPERATORS)
            if node is None:
                return None
            tensor = node.input[0]
        return self.constants[tensor]

    def layers(self) -> Iterator[NodeProto]:
        """Convolutions and linear layers: the nodes with weights."""
        return (node for node in self.nodes if node.op_type in LAYER_OPERATORS)


LAYER_OPERATORS = {"Conv": 0, "Gemm": 0, "MatMul": 1, "ConvTranspose": 1}
"""Layers that carry weights, and the axis of their output channels."""


def output_axis(layer: NodeProto) -> int:
    """The axis of a layer's weights along which its output channels lie."""
    if layer.op_type == "Gemm":
        return 0 if attribute(layer, "transB") else 1
    return LAYER_OPERATORS[layer.op_type]


def node_name(node: NodeProto) -> str:
    """A node's name, or that of its output where it has none."""
    return node.name or node.output[0]


def attribute(node: NodeProto, name: str, default: Any = None) -> Any:
    """The value of an integer, float or tensor attribute."""
    for found in node.attribute:
        if found.name == name:
            return {found.INT: found.i, found.FLOAT: found.f, found.TENSOR: found.t}.get(
                found.type, found
            )
    return default
