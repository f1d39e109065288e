"""float16 in place of float32, for runtimes that take every type from the graph (TensorRT 11)."""

import copy

import numpy as np
from onnx import ModelProto, version_converter
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from targets.graph.topology import Graph

FLOAT16_SCALES_OPSET = 19
"""The first in which Q/DQ take float16 scales."""


def in_half_precision(model: ModelProto) -> ModelProto:
    """A copy that computes in float16 and keeps its float32 inputs and outputs.

    int8 stays int8: Q and DQ get float16 scales, at opset 19 if there are any.

    Raises:
        ValueError: When a scale is too small for float16.
    """
    model, graph = copy.deepcopy(model), Graph(model)
    scales = [
        graph.constants[node.input[1]]
        for node in graph.nodes
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
    ]
    if any((scale < np.finfo(np.float16).smallest_subnormal).any() for scale in scales):
        raise ValueError("a scale is too small for float16")
    if scales and graph.opset < FLOAT16_SCALES_OPSET:
        model = version_converter.convert_version(model, FLOAT16_SCALES_OPSET)
    converted = OnnxModel(convert_float_to_float16(model, keep_io_types=True))
    converted.topological_sort()
    made: ModelProto = converted.model
    return made
