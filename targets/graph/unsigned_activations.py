"""Convert signed activations to unsigned ones for x86: value + 128 with zero point 128.

x86 multiplies unsigned by signed bytes. ONNX Runtime's signed-by-signed convolutions are hardly
faster than float there.
"""

import numpy as np
from onnx import ModelProto, numpy_helper

from targets.graph.non_negative_activations import ZERO_POINT_NAME as UNSIGNED_ZERO_POINT
from targets.graph.topology import QDQ_OPERATORS, Graph

ZERO_POINT_NAME = "zero_point_128"


def with_unsigned_activations(model: ModelProto) -> ModelProto:
    """Give every signed Q and DQ on an activation the zero point 128; every value stays the same.

    Weights are not changed, and neither is what `with_unsigned_non_negatives` has converted.
    round(x / scale) clipped to -128..127, plus 128, equals round(x / scale) + 128 clipped to
    0..255, so the graph's values are identical bit for bit.

    Args:
        model: A graph with symmetric signed Q/DQ; changed in place.

    Returns:
        The same model.

    Raises:
        ValueError: If an activation is quantized in another way.
    """
    graph = Graph(model)
    zero_point = numpy_helper.from_array(np.array(128, np.uint8), ZERO_POINT_NAME)
    for node in graph.nodes:
        if node.op_type not in QDQ_OPERATORS or graph.is_weight(node.input[0]):
            continue
        if list(node.input[2:]) == [UNSIGNED_ZERO_POINT]:
            continue
        zero = graph.constants.get(node.input[2]) if len(node.input) > 2 else None
        if zero is None or zero.dtype != np.int8 or zero.any():
            raise ValueError(f"{node.name}: its zero point is not an int8 0")
        node.input[2] = ZERO_POINT_NAME
    if any(ZERO_POINT_NAME in node.input for node in graph.nodes):
        model.graph.initializer.append(zero_point)
    return model
