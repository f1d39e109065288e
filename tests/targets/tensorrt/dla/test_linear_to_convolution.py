"""Linear layers become convolutions, and the answers stay."""

import dataclasses

import numpy as np
import onnx
import pytest

from targets.bundle.golden import load_golden
from targets.tensorrt.dla.linear_to_convolution import linear_layers_to_convolutions
from targets.tensorrt.dla.lowering import lower_for_dla
from targets.tensorrt.dla.scales import remove_quantizers
from targets.tensorrt.options import DLA_CALIBRATION_CACHE
from tests.support.graphs import Builder, model, node
from tests.targets.tensorrt.dla.test_lowering import run

IMAGES = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)


def kinds(graph):
    return [each.op_type for each in graph.graph.node]


def linear(build, tensor, inputs, outputs, **attributes):
    shape = (outputs, inputs) if attributes.get("transB") else (inputs, outputs)
    weight = build.constant(build.rng.normal(size=shape).astype(np.float32))
    bias = build.constant(build.rng.normal(size=outputs).astype(np.float32))
    return build.add("Gemm", tensor, weight, bias, **attributes)


def classifier(last=(), **attributes):
    """images -> flattened -> Gemm -> Relu -> Gemm -> logits."""
    build = Builder()
    hidden = build.add("Relu", linear(build, build.add("Flatten", "images"), 192, 6, **attributes))
    logits = linear(build, hidden, 6, 4, transB=1)
    for kind in last:
        logits = build.add(kind, logits)
    build.nodes.append(node("Identity", [logits], ["logits"]))
    return model(build.nodes, build.constants, 4)


@pytest.mark.parametrize("attributes", [{}, {"transB": 1}])
@pytest.mark.parametrize("last", [(), ("Relu",), ("Softmax",)])
def test_the_answers_stay(attributes, last):
    given = classifier(last, **attributes)
    meant = run(given, IMAGES)
    (made,) = linear_layers_to_convolutions(given).items()
    onnx.checker.check_model(given, full_check=True)
    assert kinds(given)[:4] == ["Conv", "Relu", "Conv", "Flatten"]
    assert made[1] == f"{made[0]}.map"
    np.testing.assert_allclose(run(given, IMAGES), meant, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("attributes", [{"alpha": 0.5}, {"beta": 2.0}])
def test_a_layer_that_scales_its_product_stays(attributes):
    given = classifier(**attributes)
    before = given.SerializeToString()
    assert linear_layers_to_convolutions(given) == {}
    assert kinds(given) == kinds(onnx.ModelProto.FromString(before))


def test_a_map_that_something_else_needs_flat_stays():
    build = Builder()
    flat = build.add("Flatten", "images")
    sides = [linear(build, flat, 192, 4), linear(build, flat, 192, 4)]
    build.nodes.append(node("Add", sides, ["logits"]))
    given = model(build.nodes, build.constants, 4)
    assert linear_layers_to_convolutions(given) == {}
    assert kinds(given).count("Gemm") == 2


def test_a_real_students_every_layer_has_a_scale(same_bundle, tmp_path):
    """A LeNet-5 answers as before, and what its linear layers give is in the cache."""
    golden = load_golden(same_bundle / "golden.npz")
    lower_for_dla(same_bundle / "graphs", golden, 4, (10, 3, 0), tmp_path)
    scaled = {
        row.partition(": ")[0]
        for row in (tmp_path / DLA_CALIBRATION_CACHE).read_text().splitlines()
    }
    images = dataclasses.replace(golden, pixels=golden.pixels[:4]).images
    made = {name: onnx.load(tmp_path / f"student.dla-{name}.onnx") for name in ("int8", "fp16")}
    meant = {
        name: onnx.load(same_bundle / f"graphs/student.{role}.onnx")
        for name, role in (("int8", "int8"), ("fp16", "fp32"))
    }
    remove_quantizers(meant["int8"])
    assert {output for each in made["int8"].graph.node for output in each.output} <= scaled
    for name, graph in made.items():
        assert "Gemm" not in kinds(graph)
        same = run(meant[name], images)
        np.testing.assert_allclose(run(graph, images), same, rtol=1e-4, atol=1e-4)


def test_a_reshape_that_flattens_is_one_too():
    build = Builder()
    shape = build.constant(np.array([-1, 192]))
    flat = build.add("Reshape", "images", shape)
    build.nodes.append(node("Identity", [linear(build, flat, 192, 4)], ["logits"]))
    given = model(build.nodes, build.constants, 4)
    meant = run(given, IMAGES)
    assert linear_layers_to_convolutions(given)
    np.testing.assert_allclose(run(given, IMAGES), meant, rtol=1e-5, atol=1e-5)
    assert kinds(given).count("Conv") == 1
