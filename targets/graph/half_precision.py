"""Convert a graph to float16, for runtimes that take every type from the graph (TensorRT 11)."""

import copy

import numpy as np
from onnx import ModelProto, version_converter
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from targets.graph.topology import QDQ_OPERATORS, Graph

FLOAT16_SCALES_OPSET = 19
"""The first opset in which Q/DQ accept float16 scales."""


def in_half_precision(model: ModelProto) -> ModelProto:
    """Return a copy that computes in float16 and keeps float32 inputs and outputs.

    int8 tensors stay int8. Q and DQ get float16 scales; a graph with Q/DQ is converted to opset 19
    first.

    Args:
        model: A float32 graph, with or without Q/DQ.

    Raises:
        ValueError: If a scale is too small for float16.
    """
    model, graph = copy.deepcopy(model), Graph(model)
    scales = [
        graph.constants[node.input[1]] for node in graph.nodes if node.op_type in QDQ_OPERATORS
    ]
    smallest = np.finfo(np.float16).smallest_subnormal
    if any((scale < smallest).any() for scale in scales):
        raise ValueError(f"a scale is below {smallest}, the smallest number in float16")
    if scales and graph.opset < FLOAT16_SCALES_OPSET:
        model = version_converter.convert_version(model, FLOAT16_SCALES_OPSET)
    converted = OnnxModel(convert_float_to_float16(model, keep_io_types=True))
    converted.topological_sort()
    result: ModelProto = converted.model
    return result
