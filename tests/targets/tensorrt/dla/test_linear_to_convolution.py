"""Linear layers become convolutions with the same logits."""

import dataclasses

import numpy as np
import onnx
import pytest

from targets.bundle.golden import load_golden
from targets.tensorrt.dla.linear_to_convolution import linear_layers_to_convolutions
from targets.tensorrt.dla.lowering import lower_for_dla
from targets.tensorrt.dla.scales import remove_quantizers
from targets.tensorrt.options import DLA_CALIBRATION_CACHE
from tests.support.graphs import Builder, model, node, run_graph

IMAGES = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)


def operators(graph):
    return [each.op_type for each in graph.graph.node]


def linear(build, tensor, inputs, outputs, **attributes):
    shape = (outputs, inputs) if attributes.get("transB") else (inputs, outputs)
    weight = build.constant(build.rng.normal(size=shape).astype(np.float32))
    bias = build.constant(build.rng.normal(size=outputs).astype(np.float32))
    return build.add("Gemm", tensor, weight, bias, **attributes)


def classifier(last=(), **attributes):
    """Return images -> flattened -> Gemm -> Relu -> Gemm -> logits."""
    build = Builder()
    hidden = build.add("Relu", linear(build, build.add("Flatten", "images"), 192, 6, **attributes))
    logits = linear(build, hidden, 6, 4, transB=1)
    for kind in last:
        logits = build.add(kind, logits)
    build.nodes.append(node("Identity", [logits], ["logits"]))
    return model(build.nodes, build.constants, 4)


@pytest.mark.parametrize("attributes", [{}, {"transB": 1}])
@pytest.mark.parametrize("last", [(), ("Relu",), ("Softmax",)])
def test_convolutions_compute_the_same_logits(attributes, last):
    graph = classifier(last, **attributes)
    expected = run_graph(graph, IMAGES)
    (names,) = linear_layers_to_convolutions(graph).items()
    onnx.checker.check_model(graph, full_check=True)
    assert operators(graph)[:4] == ["Conv", "Relu", "Conv", "Flatten"]
    assert names[1] == f"{names[0]}.map"
    np.testing.assert_allclose(run_graph(graph, IMAGES), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("attributes", [{"alpha": 0.5}, {"beta": 2.0}])
def test_layer_with_a_scaled_product_stays(attributes):
    graph = classifier(**attributes)
    before = graph.SerializeToString()
    assert linear_layers_to_convolutions(graph) == {}
    assert operators(graph) == operators(onnx.ModelProto.FromString(before))


def test_flattened_map_with_two_consumers_stays():
    build = Builder()
    flat = build.add("Flatten", "images")
    sides = [linear(build, flat, 192, 4), linear(build, flat, 192, 4)]
    build.nodes.append(node("Add", sides, ["logits"]))
    graph = model(build.nodes, build.constants, 4)
    assert linear_layers_to_convolutions(graph) == {}
    assert operators(graph).count("Gemm") == 2


def test_lowered_lenet5_keeps_its_logits_and_every_layer_has_a_scale(same_bundle, tmp_path):
    golden = load_golden(same_bundle / "golden.npz")
    lower_for_dla(same_bundle / "graphs", golden, 4, (10, 3, 0), tmp_path)
    scaled = {
        row.partition(": ")[0]
        for row in (tmp_path / DLA_CALIBRATION_CACHE).read_text().splitlines()
    }
    images = dataclasses.replace(golden, pixels=golden.pixels[:4]).images
    lowered = {name: onnx.load(tmp_path / f"student.dla-{name}.onnx") for name in ("int8", "fp16")}
    expected = {
        name: onnx.load(same_bundle / f"graphs/student.{role}.onnx")
        for name, role in (("int8", "int8"), ("fp16", "fp32"))
    }
    remove_quantizers(expected["int8"])
    assert {output for each in lowered["int8"].graph.node for output in each.output} <= scaled
    for name, graph in lowered.items():
        assert "Gemm" not in operators(graph)
        logits = run_graph(expected[name], images)
        np.testing.assert_allclose(run_graph(graph, images), logits, rtol=1e-4, atol=1e-4)


def test_reshape_that_flattens_is_recognized():
    build = Builder()
    shape = build.constant(np.array([-1, 192]))
    flat = build.add("Reshape", "images", shape)
    build.nodes.append(node("Identity", [linear(build, flat, 192, 4)], ["logits"]))
    graph = model(build.nodes, build.constants, 4)
    expected = run_graph(graph, IMAGES)
    assert linear_layers_to_convolutions(graph)
    np.testing.assert_allclose(run_graph(graph, IMAGES), expected, rtol=1e-5, atol=1e-5)
    assert operators(graph).count("Conv") == 1
