"""Floors against hand arithmetic."""

import math

import onnx
import pytest
from onnx import TensorProto, helper

from targets.catalogue import find
from targets.roofline import LAUNCH_MICROSECONDS, Demand, demand, floor


def network():
    """3x8x8 -> conv 3x3 to 4 channels -> depthwise 3x3, stride 2 -> pooled -> linear to 10."""
    weights = {
        "w1": (4, 3, 3, 3),
        "w2": (4, 1, 3, 3),
        "w3": (10, 4),
    }
    nodes = [
        helper.make_node("Conv", ["images", "w1"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["c"], pads=[1] * 4, strides=[2, 2], group=4),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "w3"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 10])],
        [
            helper.make_tensor(name, TensorProto.FLOAT, shape, [0.5] * math.prod(shape))
            for name, shape in weights.items()
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("batch", [1, 5])
def test_demand_by_hand(batch):
    macs = 4 * 8 * 8 * 27 + 4 * 4 * 4 * 9 + 10 * 4
    weights = 4 * 27 + 4 * 9 + 40
    values = 3 * 8 * 8 + 10
    assert demand(network(), batch) == Demand(batch * macs, weights, batch * values, kernels=4)


def test_weights_that_are_computed_are_refused():
    model = network()
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == "w3")
    weight.name = "before"
    model.graph.node.insert(0, helper.make_node("Abs", ["before"], ["w3"]))
    with pytest.raises(ValueError, match="its weights are not constant"):
        demand(model)


def test_transposed_convolution_by_hand():
    """Every one of 2x5x5 inputs meets 3 output channels x 2x2 weights."""
    node = helper.make_node("ConvTranspose", ["images", "w"], ["logits"])
    graph = helper.make_graph(
        [node],
        "net",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 2, 5, 5])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 3, 6, 6])],
        [helper.make_tensor("w", TensorProto.FLOAT, (2, 3, 2, 2), [1.0] * 24)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    assert demand(model).macs == 2 * 5 * 5 * 3 * 4


def test_three_floors_by_hand():
    """Orin Nano 8 GB at 15 W: 8 SM x 4096 x 624.75 MHz = 20.47 TOPS, 128 bit x 2133 x 2 / 8."""
    target = find("orin-nano")
    mode = target.modes[0]
    tera, gigabytes = target.peak("int8", mode), target.bandwidth(mode)
    assert (tera, gigabytes) == (pytest.approx(20.471808), pytest.approx(68.256))
    # ResNet-18, CIFAR stem, one image: 555,422,720 MACs, 11.16 M weights, 20 layers and a pooling.
    net = Demand(macs=555_422_720, weights=11_164_352, values=3082, kernels=21)
    found = floor(net, tera, gigabytes, "int8")
    assert found.arithmetic == pytest.approx(2 * 555.42272e6 / 20.471808e12 * 1e3)
    assert found.memory == pytest.approx((11_164_352 + 4 * 3082) / 68.256e9 * 1e3)
    assert found.launch == pytest.approx(21 * LAUNCH_MICROSECONDS / 1e3)
    assert (found.bound, found.milliseconds) == ("memory", found.memory)


@pytest.mark.parametrize(
    ("asked", "bound"),
    [
        (Demand(10**12, 1, 1, 1), "arithmetic"),
        (Demand(1, 10**9, 1, 1), "memory"),
        (Demand(1, 1, 1, 50), "launch"),
    ],
)
def test_what_binds_is_named(asked, bound):
    assert floor(asked, 20.0, 68.0, "int8").bound == bound


def test_float16_moves_twice_the_weights():
    asked = Demand(1, 1_000_000, 0, 1)
    assert floor(asked, 1, 1, "fp16").memory == 2 * floor(asked, 1, 1, "int8").memory
