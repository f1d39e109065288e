"""Quantization errors of layers, and their shares of the time."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from targets.bundle.golden import Golden
from targets.cpu.layer_errors import layer_errors
from targets.cpu.layer_times import layer_time_shares
from targets.cpu.session import compile_graph, predict_golden
from targets.cpu.session import open_session as opened
from targets.graph.without_quantizers import without_quantizers


def constant(name, values, kind=np.float32):
    return numpy_helper.from_array(np.array(values, kind), name)


@pytest.fixture
def graph(tmp_path):
    """images -> Q/DQ with scale 2 -> Conv with weight 1 -> Flatten -> logits."""
    pairs = [
        ("QuantizeLinear", ["images", "scale", "zero"], ["images_q"]),
        ("DequantizeLinear", ["images_q", "scale", "zero"], ["images_dq"]),
        ("QuantizeLinear", ["weight", "one", "zero"], ["weight_q"]),
        ("DequantizeLinear", ["weight_q", "one", "zero"], ["weight_dq"]),
        ("Conv", ["images_dq", "weight_dq"], ["map"]),
        ("Flatten", ["map"], ["logits"]),
    ]
    nodes = [helper.make_node(kind, *names, name=f"/{names[1][0]}") for kind, *names in pairs]
    constants = [
        *(constant("scale", 2), constant("one", 1), constant("zero", 0, np.int8)),
        constant("weight", [[[[1]]]]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 1, 1, 2])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])
    made = helper.make_graph(nodes, "g", [images], [logits], constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.save(model, tmp_path / "graph.onnx")
    return tmp_path / "graph.onnx"


def golden(*pixels):
    """Return probes of one row of two pixels, which are normalized to their own values."""
    count = len(pixels)
    return Golden(
        pixels=np.array(pixels, np.uint8).reshape(count, 1, 1, 2),
        mean=np.zeros(1, np.float32),
        std=np.ones(1, np.float32),
        value_range=np.array([0, 255], np.float32),
        teacher_logits=np.zeros((count, 2), np.float32),
        generator=np.zeros(count, np.int64),
        asked=np.zeros(count, np.int64),
    )


def test_error_is_relative_to_the_output_of_the_float_graph(graph):
    # 3 and 5 become 4: 3 / 2 and 5 / 2 are rounded to the even number.
    assert layer_errors(graph, golden((3, 4), (5, 0))) == {
        "/map": pytest.approx((2 / (9 + 16 + 25)) ** 0.5)
    }


def test_values_on_the_grid_have_no_error(graph):
    assert layer_errors(graph, golden((2, 4))) == {"/map": 0.0}


def test_layer_with_zero_output_is_left_out(graph):
    assert layer_errors(graph, golden((0, 0))) == {}


def test_without_quantizers_a_graph_computes_in_float(graph, tmp_path):
    model = without_quantizers(onnx.load(graph))
    assert [node.op_type for node in model.graph.node] == ["Conv", "Flatten"]
    onnx.save(model, tmp_path / "float.onnx")
    probes = golden((3, 5))
    assert predict_golden(opened(tmp_path / "float.onnx"), probes).tolist() == [[3, 5]]
    assert predict_golden(opened(graph), probes).tolist() == [[4, 4]]


def test_known_layers_have_a_share_of_the_time(graph, tmp_path):
    compiled = compile_graph(graph, tmp_path / "compiled.onnx")
    names = [name for name, _ in compiled.layers]
    shares = layer_time_shares(compiled.path, golden((3, 5)).images, [*names, "/other"])
    assert list(shares) == names
    assert all(0 < share <= 1 for share in shares.values())
