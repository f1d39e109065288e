"""Weights stored as int8."""

import numpy as np
import onnx
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto

from targets.cpu.session import open_session, predict
from targets.graph.int8_weights import store_weights_as_int8
from targets.lint.linter import errors, lint_model
from tests.support.graphs import quantized_convolution


@given(seed=st.integers(0, 2**16), per_tensor=st.booleans())
def test_int8_weights_give_identical_logits(tmp_path_factory, seed, per_tensor):
    folder = tmp_path_factory.mktemp("weights")
    scale = np.float32(0.03) if per_tensor else None  # clips some weights
    onnx.save(quantized_convolution(seed=seed, weight_scale=scale), folder / "pairs.onnx")
    stored = store_weights_as_int8(quantized_convolution(seed=seed, weight_scale=scale))
    onnx.checker.check_model(stored)
    onnx.save(stored, folder / "stored.onnx")
    images = np.random.default_rng(seed).normal(size=(4, 3, 8, 8)).astype(np.float32)
    before, after = (
        predict(open_session(folder / name, optimized=False), images)
        for name in ("pairs.onnx", "stored.onnx")
    )
    np.testing.assert_array_equal(before, after)


def test_float_weight_is_removed_and_lint_finds_no_error():
    stored = store_weights_as_int8(quantized_convolution())
    types = {t.name: t.data_type for t in stored.graph.initializer}
    assert "weight" not in types
    assert types["wq"] == TensorProto.INT8
    assert [n.op_type for n in stored.graph.node].count("QuantizeLinear") == 1
    assert not errors(lint_model(stored))
