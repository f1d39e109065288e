"""Small Q/DQ graphs, right and wrong."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ZERO, SCALE = np.int8(0), np.float32(0.05)


def quantized_convolution(
    *,
    activation_zero=ZERO,
    activation_scale=SCALE,
    weight_axis=0,
    weight_scale=None,
    extra=(),
    seed=0,
    omit_zero=False,
):
    """images -> Q -> DQ -> Conv (weight -> Q -> DQ) -> logits, with one thing changed."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(4, 3, 3, 3)).astype(np.float32)
    if weight_scale is None:
        size = weight.shape[weight_axis]
        weight_scale = np.full(size, np.abs(weight).max() / 127, np.float32)
    constants = {
        "scale": np.asarray(activation_scale),
        "zero": np.asarray(activation_zero),
        "weight": weight,
        "weight_scale": weight_scale,
        "weight_zero": np.zeros(np.shape(weight_scale), np.int8),
        "bias": rng.normal(size=4).astype(np.float32),
    }
    zero = [] if omit_zero else ["zero"]
    weight_ends = ["weight_scale", "weight_zero"]
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "scale", *zero], ["q"], name="quantize"),
        helper.make_node("DequantizeLinear", ["q", "scale", *zero], ["dq"], name="dequantize"),
        helper.make_node(
            "QuantizeLinear", ["weight", *weight_ends], ["wq"], name="wq", axis=weight_axis
        ),
        helper.make_node(
            "DequantizeLinear", ["wq", *weight_ends], ["wdq"], name="wdq", axis=weight_axis
        ),
        helper.make_node("Conv", ["dq", "wdq", "bias"], ["y"], name="conv", pads=[1, 1, 1, 1]),
        *extra,
        helper.make_node("GlobalAveragePool", ["y"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    return model(nodes, constants)


def model(nodes, constants):
    """A checked model from images (batch, 3, 8, 8) to logits."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made
