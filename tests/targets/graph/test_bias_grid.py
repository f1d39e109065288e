"""The bias grid of integer kernels."""

import numpy as np
import onnx
from onnx import numpy_helper

from targets.cpu.session import open_session, predict
from targets.graph.bias_grid import bias_steps
from targets.graph.integer_relu import with_integer_relus
from targets.graph.unsigned_activations import with_unsigned_activations
from tests.support.graphs import Builder, quantized_convolution


def test_bias_step_is_the_product_of_input_and_weight_scale():
    weight = np.linspace(0.01, 0.02, 32).astype(np.float32)
    model = quantized_convolution(activation_scale=np.float32(0.5), weight_scale=weight)
    (step,) = bias_steps(model)
    np.testing.assert_allclose(step, weight / 2)


def test_float_layer_has_no_bias_step():
    build = Builder()
    in_float = build.convolution("images", 3, 32)
    model = build.finish(build.convolution(build.pair(in_float), 32, 32), 32)
    first, second = bias_steps(model)
    assert first is None
    assert second.shape == (32,)


def network(on_grid):
    """Return twelve layers with biases on the grid or not."""
    build = Builder(3, largest_level=63)
    x = build.pair("images")
    for depth in range(12):
        x = build.add("Relu", build.convolution(x, 3 if depth == 0 else 16, 16))
        x = build.pair(x, np.float32(0.15))
    model = build.finish(x, 16)
    layers = [node for node in model.graph.node if node.op_type == "Conv"]
    for layer, step in zip(layers, bias_steps(model), strict=True):
        bias = next(t for t in model.graph.initializer if t.name == layer.input[2])
        if on_grid:
            values = numpy_helper.to_array(bias)
            bias.CopyFrom(numpy_helper.from_array(np.rint(values / step) * step, bias.name))
    return with_integer_relus(with_unsigned_activations(model))


def test_biases_on_the_grid_reduce_the_difference_to_float_kernels(tmp_path):
    images = np.random.default_rng(0).normal(size=(64, 3, 8, 8)).astype(np.float32)
    difference = {}
    for on_grid in (False, True):
        onnx.save(network(on_grid), tmp_path / "graph.onnx")
        expected, actual = (
            predict(open_session(tmp_path / "graph.onnx", optimized), images)
            for optimized in (False, True)
        )
        difference[on_grid] = np.abs(expected - actual).mean()
    assert difference[True] < 0.1 * difference[False]
