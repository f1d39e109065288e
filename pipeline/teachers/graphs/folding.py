"""Compute the nodes of a graph that do not depend on the images."""

import math

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from base.errors import first_line
from pipeline.teachers.graphs.errors import GraphError
from pipeline.teachers.graphs.values import Array, Static

RANDOM = frozenset(
    {
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)

MAX_FOLDED_VALUES = 1 << 28
"""Largest accepted number of values in a computed constant. A small file can declare any size."""

MAX_SIZES = 1_024
"""Arrays with at most so many values may hold the sizes of others."""


def fold(node: NodeProto, inputs: list[Static | None], opset: int) -> list[Static]:
    """Return the outputs of a node whose inputs do not depend on the images.

    Args:
        node: The node.
        inputs: Its inputs; None for one that is left out.
        opset: Version of the operator set.

    Raises:
        GraphError: If the node cannot be computed, or its outputs are too large or random.
    """
    if node.op_type in RANDOM:
        raise GraphError("draws random numbers; export the network in eval mode")
    given = {name: value for name, value in zip(node.input, inputs, strict=True) if value}
    first = second = _evaluate(node, {n: v.arrays[0] for n, v in given.items()}, opset)
    if any(value.constant is None for value in given.values()):
        second = _evaluate(node, {n: v.arrays[1] for n, v in given.items()}, opset)
    pairs = zip(first, second, strict=True)
    return [Static(pair, name) for pair, name in zip(pairs, node.output, strict=False)]


def _evaluate(node: NodeProto, arrays: dict[str, Array], opset: int) -> list[Array]:
    inputs = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), [*array.shape]
        )
        for name, array in arrays.items()
    ]
    outputs = [ValueInfoProto(name=name) for name in node.output if name]
    graph = helper.make_graph([node], "node", inputs, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    try:
        _check_sizes(model, arrays)
        with np.errstate(all="ignore"):
            found = ReferenceEvaluator(model).run(None, arrays)
    except GraphError:
        raise
    except Exception as error:  # The evaluator raises many types.
        raise GraphError(
            f"its constant cannot be computed ({first_line(error)}); export the graph with "
            "constant folding"
        ) from None
    return [np.asarray(array) for array in found]


def _check_sizes(model: ModelProto, arrays: dict[str, Array]) -> None:
    """Raise GraphError if an output has more than MAX_FOLDED_VALUES values."""
    described = ModelProto()
    described.CopyFrom(model)
    described.graph.initializer.extend(
        numpy_helper.from_array(array, name)
        for name, array in arrays.items()
        if array.size <= MAX_SIZES
    )
    for output in shape_inference.infer_shapes(described, data_prop=True).graph.output:
        values = math.prod(dim.dim_value for dim in output.type.tensor_type.shape.dim)
        if values > MAX_FOLDED_VALUES:
            raise GraphError(
                f"makes a constant of {values:,} values, but at most {MAX_FOLDED_VALUES:,} are "
                "allowed; export the graph again"
            )
