"""Checks a Q/DQ graph against what TensorRT accepts, before any device is touched.

Each finding names the node, the rule and the remedy. The rules are those of explicit int8
quantization in TensorRT 8 to 11: symmetric signed int8, weights per output channel, activations
per tensor, constant positive scales.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, numpy_helper

QUANTIZED_LAYERS = {"Conv": 0, "Gemm": 0, "MatMul": 1, "ConvTranspose": 1}
"""Layers that carry weights, and the axis of their output channels."""

REFUSED_OPS = {"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"} | {
    "DynamicQuantizeLinear"
}


@dataclass(frozen=True)
class Finding:
    """One breach of a rule.

    Attributes:
        severity: "error" (TensorRT refuses it) or "warning" (it will be slower or larger).
        node: The node's name, or its output where it has none.
        rule: What is asked for.
        remedy: What to do about it.
    """

    severity: Literal["error", "warning"]
    node: str
    rule: str
    remedy: str

    def __str__(self) -> str:
        """One line."""
        return f"{self.severity}: {self.node}: {self.rule}; {self.remedy}"


def lint(path: Path) -> list[Finding]:
    """Check an ONNX file.

    Raises:
        OSError: When it cannot be read.
        google.protobuf.message.DecodeError: When it is no ONNX file.
    """
    return lint_model(onnx.load(path))


def lint_model(model: ModelProto) -> list[Finding]:
    """Check a graph that is already loaded."""
    graph = _Graph(model)
    return [finding for node in model.graph.node for finding in _check(node, graph)]


def errors(findings: list[Finding]) -> list[Finding]:
    """Those that a device would refuse."""
    return [finding for finding in findings if finding.severity == "error"]


class _Graph:
    def __init__(self, model: ModelProto) -> None:
        self.constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self.producer = {output: node for node in model.graph.node for output in node.output}
        for node in model.graph.node:
            if node.op_type == "Constant":
                value = next((a for a in node.attribute if a.name == "value"), None)
                if value is not None:
                    self.constants[node.output[0]] = numpy_helper.to_array(value.t)

    def is_weight(self, tensor: str) -> bool:
        """Whether a tensor is a constant, or one that has been quantized."""
        if tensor in self.constants:
            return True
        node = self.producer.get(tensor)
        passes_on = node is not None and node.op_type in ("QuantizeLinear", "DequantizeLinear")
        return passes_on and node is not None and self.is_weight(node.input[0])


def _check(node: NodeProto, graph: _Graph) -> Iterator[Finding]:
    name = node.name or node.output[0]
    if node.op_type == "Identity":
        yield Finding(
            "error", name, "no Identity beside Q/DQ (TensorRT 8 wants initialisers)", "fold it"
        )
    if node.op_type in REFUSED_OPS:
        yield Finding(
            "error", name, f"{node.op_type} is not supported", "export QuantizeLinear pairs"
        )
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        yield from _check_quantizer(node, name, graph)
    if node.op_type in QUANTIZED_LAYERS:
        yield from _check_layer(node, name, graph)


def _check_quantizer(node: NodeProto, name: str, graph: _Graph) -> Iterator[Finding]:
    scale = graph.constants.get(node.input[1])
    if scale is None:
        yield Finding("error", name, "the scale is a constant", "store it as an initialiser")
        return
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        yield Finding("error", name, "the scale is positive and finite", "calibrate again")
    zero = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
    if zero is None and len(node.input) < 3:
        if node.op_type == "QuantizeLinear":
            yield Finding(
                "error", name, "a missing zero point means uint8", "give an int8 zero point of 0"
            )
    elif zero is None or zero.dtype != np.int8 or zero.any():
        yield Finding(
            "error", name, "the zero point is int8 and 0", "quantize symmetrically and signed"
        )
    if scale.size > 1:
        yield from _check_axis(node, name, graph)


def _check_axis(node: NodeProto, name: str, graph: _Graph) -> Iterator[Finding]:
    if not graph.is_weight(node.input[0]):
        yield Finding("error", name, "activations have one scale a tensor", "quantize per tensor")


def _check_layer(node: NodeProto, name: str, graph: _Graph) -> Iterator[Finding]:
    weight = graph.producer.get(node.input[1])
    if weight is None or weight.op_type != "DequantizeLinear":
        if graph.is_weight(node.input[1]):
            yield Finding("warning", name, "weights are quantized", "this layer will run in float")
        return
    scale = graph.constants.get(weight.input[1], np.ones(1))
    axis = next((a.i for a in weight.attribute if a.name == "axis"), 1)
    wanted = QUANTIZED_LAYERS[node.op_type]
    if node.op_type == "Gemm":
        wanted = 0 if any(a.name == "transB" and a.i for a in node.attribute) else 1
    if scale.size > 1 and axis != wanted:
        yield Finding(
            "error", name, f"weights are scaled along axis {wanted}", "quantize per output channel"
        )
