import numpy as np
import onnx
from onnx import numpy_helper

from targets.cpu.session import open_session, predict
from targets.graph.bias_grid import bias_steps
from targets.graph.integer_relu import with_integer_relus
from targets.graph.unsigned_activations import with_unsigned_activations
from tests.support.graphs import Builder, quantized_convolution


def test_the_step_is_the_product_of_both_scales():
    weight = np.linspace(0.01, 0.02, 32).astype(np.float32)
    model = quantized_convolution(activation_scale=np.float32(0.5), weight_scale=weight)
    (step,) = bias_steps(model)
    np.testing.assert_allclose(step, weight / 2)


def test_a_layer_in_float_has_none():
    build = Builder()
    in_float = build.convolution("images", 3, 32)
    model = build.finish(build.convolution(build.pair(in_float), 32, 32), 32)
    first, second = bias_steps(model)
    assert first is None
    assert second.shape == (32,)


def network(on_grid):
    """Twelve layers with biases that are on the grid, or as they come."""
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


def test_on_the_grid_integer_kernels_answer_as_float_ones(tmp_path):
    """Rounding to the grid is what moves answers; rounding ties are not."""
    images = np.random.default_rng(0).normal(size=(64, 3, 8, 8)).astype(np.float32)
    apart = {}
    for on_grid in (False, True):
        onnx.save(network(on_grid), tmp_path / "graph.onnx")
        meant, given = (
            predict(open_session(tmp_path / "graph.onnx", optimised), images)
            for optimised in (False, True)
        )
        apart[on_grid] = np.abs(meant - given).mean()
    assert apart[True] < 0.1 * apart[False]
