"""The grid of bias values that integer kernels can represent: input scale times weight scales."""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from targets.graph.topology import Graph


def bias_steps(model: ModelProto) -> list[NDArray[np.float32] | None]:
    """Return the grid step of every layer's bias, in the order of the graph.

    A runtime that accumulates in int32 rounds a float bias to multiples of this step. A bias that
    is on the grid already has the same value in float and in integer kernels.

    Args:
        model: A Q/DQ graph.

    Returns:
        (channels,) or (1,) arrays; None for a layer that does not run on integers.
    """
    graph = Graph(model)
    steps: list[NDArray[np.float32] | None] = []
    for layer in graph.layers():
        activation = graph.dequantizer_of(layer.input[0])
        weight = graph.produced_by(layer.input[1], "DequantizeLinear")
        if activation is None or weight is None or not graph.is_weight(layer.input[1]):
            steps.append(None)
            continue
        product = graph.constants[activation.input[1]] * graph.constants[weight.input[1]]
        steps.append(product.astype(np.float32).reshape(-1))
    return steps
