"""Every lint rule has a graph that violates only this rule; valid graphs have no findings."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from targets.graph.int8_weights import store_weights_as_int8
from targets.lint.linter import errors, lint, lint_model
from tests.support.graphs import ZERO, Builder, model, node, quantized_convolution, residual

MODELOPT = Path(__file__).parent / "modelopt_int8.onnx"
"""Written by NVIDIA Model Optimizer 0.47 from a small residual network: INT8_DEFAULT_CFG, then
torch.onnx.export at opset 17."""


def found(graph):
    return {(f.severity, f.node, f.problem) for f in lint_model(graph)}


def test_valid_graphs_have_no_findings(tmp_path):
    for graph in (quantized_convolution(), residual()):
        onnx.save(graph, tmp_path / "valid.onnx")
        assert lint(tmp_path / "valid.onnx") == []


@pytest.mark.parametrize(
    ("changes", "node", "problem"),
    [
        ({"activation_zero": np.uint8(0)}, "quantize", "not an int8 0"),
        ({"activation_zero": np.int8(3)}, "quantize", "not an int8 0"),
        ({"omit_zero": True}, "quantize", "no zero point"),
        ({"activation_scale": np.float32(0)}, "quantize", "not positive"),
        ({"activation_scale": np.float32(-1)}, "quantize", "not positive"),
        ({"activation_scale": np.float32(np.inf)}, "quantize", "finite"),
        ({"weight_axis": 1}, "conv", "along axis 1, not 0"),
        ({"opset": 12}, "wdq", "below opset 13"),
        (
            {
                "activation_scale": np.full(3, 0.1, np.float32),
                "activation_zero": np.zeros(3, np.int8),
            },
            "quantize",
            "several scales",
        ),
    ],
)
def test_invalid_quantizer_is_an_error(changes, node, problem):
    findings = errors(lint_model(quantized_convolution(**changes)))
    assert any(f.node == node and problem in f.problem for f in findings), findings
    assert all(f.remedy and "\n" not in str(f) for f in findings)


def test_computed_scale_is_an_error():
    graph = quantized_convolution()
    graph.graph.node.insert(0, helper.make_node("Abs", ["raw"], ["scale"], name="abs"))
    next(t for t in graph.graph.initializer if t.name == "scale").name = "raw"
    assert ("error", "quantize", "the scale is not a constant") in found(graph)


def with_identity(graph, tensor):
    """Add an Identity after one of the graph's constants and return the graph."""
    for user in graph.graph.node:
        for index, name in enumerate(user.input):
            if name == tensor:
                user.input[index] = "copied"
    graph.graph.node.insert(0, helper.make_node("Identity", [tensor], ["copied"], name="id"))
    return graph


@pytest.mark.parametrize("tensor", ["scale", "weight"])
def test_identity_on_a_constant_is_an_error(tensor):
    refused = [
        f.problem for f in errors(lint_model(with_identity(quantized_convolution(), tensor)))
    ]
    assert "Identity on a constant, which TensorRT 8 refuses" in refused


def test_integer_operator_is_an_error():
    nodes = [
        node("DynamicQuantizeLinear", ["images"], ["q", "s", "z"]),
        node("DequantizeLinear", ["q", "s", "z"], ["x"]),
        node("Conv", ["x", "w"], ["y"]),
        node("GlobalAveragePool", ["y"], ["p"]),
        node("Flatten", ["p"], ["logits"]),
    ]
    graph = model(nodes, {"w": np.ones((4, 3, 3, 3), np.float32)}, 4)
    assert ("error", "q_node", "unsupported operator DynamicQuantizeLinear") in found(graph)


def test_quantized_bias_is_an_error():
    graph = quantized_convolution()
    constants = {t.name: t for t in graph.graph.initializer}
    constants["bias"].CopyFrom(numpy_helper.from_array(np.zeros(32, np.int32), "levels"))
    scale = numpy_helper.from_array(np.full(32, 0.1, np.float32), "bias_scale")
    graph.graph.initializer.append(scale)
    quantizer = helper.make_node("DequantizeLinear", ["levels", "bias_scale"], ["bias"], name="b")
    quantizer.attribute.append(helper.make_attribute("axis", 0))
    graph.graph.node.insert(0, quantizer)
    assert {f.problem for f in errors(lint_model(graph))} == {"the bias is quantized"}


def test_computed_weights_are_an_error():
    build = Builder()
    scale = [build.constant(np.float32(0.1)), build.constant(ZERO)]
    computed = build.add("Abs", build.constant(np.ones((32, 3, 3, 3), np.float32)))
    weight = build.add("DequantizeLinear", build.add("QuantizeLinear", computed, *scale), *scale)
    graph = build.finish(build.add("Conv", build.pair("images"), weight), 32)
    assert {f.problem for f in errors(lint_model(graph))} == {
        "the quantized weights are not constants"
    }


def test_quantizer_without_dequantizer_is_an_error():
    build = Builder()
    ends = [build.constant(np.float32(0.1)), build.constant(ZERO)]
    levels = build.add("QuantizeLinear", "images", *ends)
    floats = build.add("Cast", levels, to=TensorProto.FLOAT)
    graph = build.finish(floats, 3)
    assert {f.problem for f in errors(lint_model(graph))} == {"no DequantizeLinear follows"}


def test_float64_is_an_error():
    build = Builder()
    wide = build.add("Cast", "images", to=TensorProto.DOUBLE)
    scaled = build.add("Mul", wide, build.constant(np.float64(2)))
    graph = build.finish(build.add("Cast", scaled, to=TensorProto.FLOAT), 3)
    assert {f.problem for f in errors(lint_model(graph))} == {"float64 constant"}


def test_float_weights_are_a_warning():
    build = Builder()
    weight = build.constant(np.ones((32, 3, 3, 3), np.float32))
    graph = build.finish(build.add("Conv", build.pair("images"), weight), 32)
    assert [(f.severity, f.problem) for f in lint_model(graph)] == [
        ("warning", "runs in float: its weights are not quantized")
    ]


def test_float_input_is_a_warning():
    build = Builder()
    graph = build.finish(build.convolution("images", 3, 32), 32)
    assert [(f.severity, f.problem) for f in lint_model(graph)] == [
        ("warning", "runs in float: its input is not quantized")
    ]


def test_pooled_tensor_stays_quantized():
    build = Builder()
    pooled = build.add("MaxPool", build.pair("images"), kernel_shape=[2, 2], strides=[2, 2])
    assert lint_model(build.finish(build.convolution(pooled, 3, 32), 32)) == []


def test_weight_of_minus_128_is_a_warning():
    graph = store_weights_as_int8(quantized_convolution())
    stored = next(t for t in graph.graph.initializer if t.name == "wq")
    values = numpy_helper.to_array(stored).copy()
    values.flat[0] = -128
    stored.CopyFrom(numpy_helper.from_array(values, "wq"))
    assert ("warning", "wdq", "an int8 weight of -128") in found(graph)


@pytest.mark.parametrize("kind", ["Relu", "Clip"])
def test_quantizer_between_convolution_and_activation_is_a_warning(kind):
    build = Builder()
    inside = build.pair(build.convolution(build.pair("images"), 3, 32))
    graph = build.finish(build.add(kind, inside), 32)
    assert [(f.severity, f.problem) for f in lint_model(graph)] == [
        ("warning", "Q/DQ between a convolution and an operator that fuses with it")
    ]


def test_quantized_convolution_branch_is_a_warning():
    assert [f.problem for f in lint_model(residual(on_branch=True))] == [
        "the convolution branch of a residual addition is quantized"
    ]


def test_float_identity_branch_is_a_warning():
    assert [f.problem for f in lint_model(residual(on_identity=False))] == [
        "the identity branch of a residual addition is not quantized"
    ]


@pytest.mark.parametrize(("scales", "warned"), [((0.1, 0.1), False), ((0.1, 0.2), True)])
def test_concat_of_different_scales_is_a_warning(scales, warned):
    build = Builder()
    pairs = [build.pair("images", np.float32(scale)) for scale in scales]
    graph = build.finish(build.add("Concat", *pairs, axis=1), 6)
    rules = [f.problem for f in lint_model(graph)]
    assert rules == (["the inputs of a Concat have different scales"] if warned else [])


def test_int8_weights_are_one_warning_for_tensorrt_8():
    graph = store_weights_as_int8(residual())
    assert [f.problem for f in lint_model(graph)] == [
        "int8 weights, which TensorRT 8 does not accept (3 layers)"
    ]


def test_float16_scales_are_a_warning():
    build = Builder()
    half = build.add("Cast", "images", to=TensorProto.FLOAT16)
    pair = build.pair(half, np.float16(0.1))
    graph = build.finish(build.add("Cast", pair, to=TensorProto.FLOAT), 3, opset=19)
    assert [f.problem for f in lint_model(graph)] == [
        "float16 scales, on which some TensorRT 10 fail (2 quantizers)"
    ]


def test_partial_channel_block_is_a_warning():
    assert found(quantized_convolution(outputs=40)) == {
        ("warning", "conv", "40 channels cost as much as 64")
    }


def test_graph_of_nvidia_model_optimizer_has_no_error():
    findings = lint(MODELOPT)
    assert not errors(findings)
    assert {f.problem for f in findings} == {
        "the identity branch of a residual addition is not quantized",
        "8 channels cost as much as 32",
        "16 channels cost as much as 32",
    }


def test_graph_of_onnxruntimes_quantizer_has_no_error(tmp_path):
    class Noise(CalibrationDataReader):
        def __init__(self):
            rng = np.random.default_rng(0)
            self.images = iter([rng.normal(size=(4, 3, 8, 8)).astype(np.float32)] * 2)

        def get_next(self):
            return next(({"images": batch} for batch in self.images), None)

    build = Builder()
    convolution = build.add(
        "Conv",
        "images",
        build.constant(build.rng.normal(size=(32, 3, 3, 3)).astype(np.float32)),
        build.constant(np.ones(32, np.float32)),
    )
    onnx.save(build.finish(build.add("Relu", convolution), 32), tmp_path / "float.onnx")
    quantize_static(
        tmp_path / "float.onnx",
        tmp_path / "int8.onnx",
        Noise(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8,
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
        },
    )
    findings = lint(tmp_path / "int8.onnx")
    assert any(n.op_type == "QuantizeLinear" for n in onnx.load(tmp_path / "int8.onnx").graph.node)
    assert not errors(findings), findings
