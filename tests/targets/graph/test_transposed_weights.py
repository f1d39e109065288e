"""Weights of matrix products stored transposed."""

import copy

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from targets.graph.transposed_weights import store_transposed_weights
from targets.lint.linter import errors, lint_model
from tests.support.graphs import run_graph


def linear_of_rank_three(seed, users=1):
    """Return a graph that multiplies (batch, 3, 8, 8) images by a transposed quantized weight."""
    rng = np.random.default_rng(seed)
    constants = {
        "weight": rng.normal(size=(5, 8)).astype(np.float32),
        "scales": rng.uniform(0.01, 0.02, 5).astype(np.float32),
        "zeros": np.zeros(5, np.int8),
        "scale": np.float32(0.02),
        "zero": np.int8(0),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["dq"]),
        helper.make_node("QuantizeLinear", ["weight", "scales", "zeros"], ["wq"], axis=0),
        helper.make_node("DequantizeLinear", ["wq", "scales", "zeros"], ["wdq"], axis=0),
    ]
    for index in range(users):
        nodes += [
            helper.make_node("Transpose", ["wdq"], [f"t{index}"], perm=[1, 0]),
            helper.make_node("MatMul", ["dq", f"t{index}"], [f"y{index}"], name=f"product{index}"),
        ]
    nodes.append(helper.make_node("Sum", [f"y{index}" for index in range(users)], ["logits"]))
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 3, 8, 5])],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@given(seed=st.integers(0, 2**16), users=st.integers(1, 2))
def test_products_read_their_weight_from_a_dequantizer_and_keep_their_values(seed, users):
    before = linear_of_rank_three(seed, users)
    after = store_transposed_weights(copy.deepcopy(before))
    assert [n.op_type for n in after.graph.node].count("Transpose") == 0
    assert "weight" not in {tensor.name for tensor in after.graph.initializer}
    assert not errors(lint_model(after))
    images = np.random.default_rng(seed).normal(size=(2, 3, 8, 8)).astype(np.float32)
    np.testing.assert_array_equal(run_graph(before, images), run_graph(after, images))
