"""Floors against hand arithmetic."""

import math

import onnx
import pytest
from onnx import TensorProto, helper

from targets.catalogue.catalogue import find_target, jetsons, targets_by_name
from targets.catalogue.roofline import (
    LAUNCH_US,
    Workload,
    latency_bound,
    latency_bounds,
    latency_bounds_on,
    workload_of,
)
from targets.catalogue.tables import roofline_table


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
    assert workload_of(network(), batch) == Workload(
        batch * macs, weights, batch * values, kernels=4
    )


def test_weights_that_are_computed_are_refused():
    model = network()
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == "w3")
    weight.name = "before"
    model.graph.node.insert(0, helper.make_node("Abs", ["before"], ["w3"]))
    with pytest.raises(ValueError, match="its weights are not constant"):
        workload_of(model)


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
    assert workload_of(model).macs == 2 * 5 * 5 * 3 * 4


def test_three_floors_by_hand():
    """Orin Nano 8 GB at 15 W: 8 SM x 4096 x 624.75 MHz = 20.47 TOPS, 128 bit x 2133 x 2 / 8."""
    target = find_target("orin-nano")
    mode = target.modes[0]
    tera, gigabytes = target.peak_tops("int8", mode), target.bandwidth_gb_s(mode)
    assert (tera, gigabytes) == (pytest.approx(20.471808), pytest.approx(68.256))
    # ResNet-18, CIFAR stem, one image: 555,422,720 MACs, 11.16 M weights, 20 layers and a pooling.
    net = Workload(macs=555_422_720, weights=11_164_352, values=3082, kernels=21)
    found = latency_bound(net, tera, gigabytes, "int8")
    assert found.arithmetic == pytest.approx(2 * 555.42272e6 / 20.471808e12 * 1e3)
    assert found.memory == pytest.approx((11_164_352 + 4 * 3082) / 68.256e9 * 1e3)
    assert found.launch == pytest.approx(21 * LAUNCH_US / 1e3)
    assert (found.bound, found.milliseconds) == ("memory", found.memory)


@pytest.mark.parametrize(
    ("asked", "bound"),
    [
        (Workload(10**12, 1, 1, 1), "arithmetic"),
        (Workload(1, 10**9, 1, 1), "memory"),
        (Workload(1, 1, 1, 50), "launch"),
    ],
)
def test_what_binds_is_named(asked, bound):
    assert latency_bound(asked, 20.0, 68.0, "int8").bound == bound


def test_float16_moves_twice_the_weights():
    asked = Workload(1, 1_000_000, 0, 1)
    assert (
        latency_bound(asked, 1, 1, "fp16").memory == 2 * latency_bound(asked, 1, 1, "int8").memory
    )


@pytest.mark.parametrize(
    ("name", "mode", "precision", "asked", "milliseconds", "bound"),
    [
        # 1 SM x 512 x 921.6 MHz = 0.4719 TFLOPS, 64 bit x 1600 x 2 / 8 = 25.6 GB/s
        ("nano", "MAXN", "fp16", Workload(416_520, 61_470, 1034, 7), 7 * 0.002, "launch"),
        # 8 SM x 2048 x 1377 MHz = 22.56 TOPS: 2 x 40.55 M / 22.56e12 = 3.6 us
        ("agx-xavier", "MAXN", "int8", Workload(40_551_040, 268_336, 3082, 21), 0.042, "launch"),
        # 128 bit x 2133 x 2 / 8 = 68.256 GB/s, 11.16 MB of weights
        (
            "orin-nano",
            "15W",
            "int8",
            Workload(555_422_720, 11_164_352, 3082, 22),
            (11_164_352 + 4 * 3082) / 68.256e6,
            "memory",
        ),
        # 8 SM x 4096 x 612 MHz = 20.05 TOPS in the slower mode: 2 x 10^10 / 20.05e12
        ("agx-orin", "MODE_30W", "int8", Workload(10**10, 1, 1, 1), 2e10 / 20.054e9, "arithmetic"),
    ],
)
def test_floors_of_networks_on_devices_by_hand(name, mode, precision, asked, milliseconds, bound):
    """LeNet-5, ResNet-20 and ResNet-18 of one image, and much arithmetic."""
    target = find_target(name)
    found = {
        (place.mode.name, place.precision): latency_bound
        for place, latency_bound in latency_bounds_on(asked, target, target.modes)
    }[mode, precision]
    assert found.bound == bound
    assert found.milliseconds == pytest.approx(milliseconds, rel=1e-3)


def test_every_jetson_has_its_floors_in_the_fastest_mode():
    places = [place for place, _ in latency_bounds(Workload(1, 1, 1, 1))]
    assert list(dict.fromkeys(place.target.name for place in places)) == [
        target.name for target in jetsons()
    ]
    assert all(place.mode == place.target.modes[0] for place in places)


@pytest.fixture
def graph(tmp_path):
    onnx.save(network(), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def rows(text):
    """Of a table's first part, as words."""
    return [line.split() for line in text.split("\n\n")[0].splitlines()[1:]]


def test_one_target_is_told_in_each_of_its_power_modes(graph):
    assert [row[:3] for row in rows(roofline_table(graph, 1, find_target("orin-nano")))] == [
        ["orin-nano-8", "15W", "int8"],
        ["orin-nano-8", "15W", "fp16"],
        ["orin-nano-8", "7W", "int8"],
        ["orin-nano-8", "7W", "fp16"],
    ]


def test_a_floor_on_unverified_facts_is_marked(graph):
    """A Nano's power modes, and the int8 of a Thor."""
    least = {tuple(row[:3]): row[3] for row in rows(roofline_table(graph, 1))}
    assert least["nano", "MAXN", "fp16"] == "0.0080?"
    assert least["thor-t5000", "MAXN", "int8"] == "0.0080?"
    assert least["thor-t5000", "MAXN", "fp16"] == least["orin-nano-8", "15W", "int8"] == "0.0080"


def test_what_has_no_peak_is_named(graph):
    said = roofline_table(graph, 1)
    assert "No peaks are known of local-cpu, x86-avx2, x86-vnni, arm, " in said
    for name in (
        name for name, target in targets_by_name().items() if target not in list(jetsons())
    ):
        with pytest.raises(ValueError, match=rf"{name}: no peak .*compile BUNDLE --target {name}"):
            roofline_table(graph, 1, find_target(name))
