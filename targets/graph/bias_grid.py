"""The grid on which an integer kernel adds a bias: the input's scale times the weights' scales."""

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from targets.graph.topology import Graph


def bias_steps(model: ModelProto) -> list[NDArray[np.float32] | None]:
    """The step of each layer's bias, layer by layer in the order of the graph.

    A runtime that adds in int32 rounds a float bias to multiples of this step. A bias that lies on
    the grid already means the same there and in float, so that an answer does not depend on where
    the graph runs.

    Returns:
        (channels,) or (1,) arrays; None for a layer that does not run on integers.
    """
    graph = Graph(model)
    steps: list[NDArray[np.float32] | None] = []
    for layer in graph.layers():
        activation, weight = (
            graph.dequantizer_of(layer.input[0]),
            graph.produced_by(layer.input[1], "DequantizeLinear"),
        )
        if activation is None or weight is None or not graph.is_weight(layer.input[1]):
            steps.append(None)
            continue
        product = graph.constants[activation.input[1]] * graph.constants[weight.input[1]]
        steps.append(product.astype(np.float32).reshape(-1))
    return steps
