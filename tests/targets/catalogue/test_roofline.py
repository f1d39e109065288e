"""Latency bounds against calculations by hand."""

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
def test_workload_of_counts_macs_weights_values_and_kernels(batch):
    macs = 4 * 8 * 8 * 27 + 4 * 4 * 4 * 9 + 10 * 4
    weights = 4 * 27 + 4 * 9 + 40
    values = 3 * 8 * 8 + 10
    assert workload_of(network(), batch) == Workload(
        batch * macs, weights, batch * values, kernels=4
    )


def test_workload_of_refuses_computed_weights():
    model = network()
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name == "w3")
    weight.name = "before"
    model.graph.node.insert(0, helper.make_node("Abs", ["before"], ["w3"]))
    with pytest.raises(ValueError, match="its weights are not constant"):
        workload_of(model)


def test_workload_of_counts_a_transposed_convolution():
    """Each of 2x5x5 inputs is multiplied with 3 output channels x 2x2 weights."""
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


def test_latency_bound_matches_calculation_by_hand():
    """Orin Nano 8 GB at 15 W: 8 SM x 4096 x 624.75 MHz = 20.47 TOPS, 128 bit x 2133 x 2 / 8."""
    target = find_target("orin-nano")
    mode = target.modes[0]
    peak, bandwidth = target.peak_tops("int8", mode), target.bandwidth_gb_s(mode)
    assert (peak, bandwidth) == (pytest.approx(20.471808), pytest.approx(68.256))
    # ResNet-18, CIFAR stem, one image: 555,422,720 MACs, 11.16 M weights, 20 layers and a pooling.
    net = Workload(macs=555_422_720, weights=11_164_352, values=3082, kernels=21)
    found = latency_bound(net, peak, bandwidth, "int8")
    assert found.arithmetic == pytest.approx(2 * 555.42272e6 / 20.471808e12 * 1e3)
    assert found.memory == pytest.approx((11_164_352 + 4 * 3082) / 68.256e9 * 1e3)
    assert found.launch == pytest.approx(21 * LAUNCH_US / 1e3)
    assert (found.bound, found.milliseconds) == ("memory", found.memory)


@pytest.mark.parametrize(
    ("workload", "bound"),
    [
        (Workload(10**12, 1, 1, 1), "arithmetic"),
        (Workload(1, 10**9, 1, 1), "memory"),
        (Workload(1, 1, 1, 50), "launch"),
    ],
)
def test_latency_bound_names_the_largest_bound(workload, bound):
    assert latency_bound(workload, 20.0, 68.0, "int8").bound == bound


def test_float16_weights_take_twice_the_memory_time():
    workload = Workload(1, 1_000_000, 0, 1)
    assert (
        latency_bound(workload, 1, 1, "fp16").memory
        == 2 * latency_bound(workload, 1, 1, "int8").memory
    )


@pytest.mark.parametrize(
    ("name", "mode", "precision", "workload", "milliseconds", "bound"),
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
def test_latency_bounds_on_match_calculation_by_hand(
    name, mode, precision, workload, milliseconds, bound
):
    """LeNet-5, ResNet-20, ResNet-18, and a network dominated by arithmetic; one image each."""
    target = find_target(name)
    found = {
        (setting.mode.name, setting.precision): each
        for setting, each in latency_bounds_on(workload, target, target.modes)
    }[mode, precision]
    assert found.bound == bound
    assert found.milliseconds == pytest.approx(milliseconds, rel=1e-3)


def test_latency_bounds_cover_every_jetson_in_its_fastest_mode():
    settings = [setting for setting, _ in latency_bounds(Workload(1, 1, 1, 1))]
    assert list(dict.fromkeys(setting.target.name for setting in settings)) == [
        target.name for target in jetsons()
    ]
    assert all(setting.mode == setting.target.modes[0] for setting in settings)


@pytest.fixture
def graph(tmp_path):
    onnx.save(network(), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def rows(text):
    """Return the words of each row of the table."""
    return [line.split() for line in text.split("\n\n")[0].splitlines()[1:]]


def test_roofline_table_shows_one_jetson_in_all_power_modes(graph):
    assert [row[:3] for row in rows(roofline_table(graph, 1, find_target("orin-nano")))] == [
        ["orin-nano-8", "15W", "int8"],
        ["orin-nano-8", "15W", "fp16"],
        ["orin-nano-8", "7W", "int8"],
        ["orin-nano-8", "7W", "fp16"],
    ]


def test_roofline_table_marks_bounds_from_unverified_facts(graph):
    """A Nano's power modes and Thor's int8 are unverified."""
    least = {tuple(row[:3]): row[3] for row in rows(roofline_table(graph, 1))}
    assert least["nano", "MAXN", "fp16"] == "0.0080?"
    assert least["thor-t5000", "MAXN", "int8"] == "0.0080?"
    assert least["thor-t5000", "MAXN", "fp16"] == least["orin-nano-8", "15W", "int8"] == "0.0080"


def test_roofline_table_names_targets_without_a_peak(graph):
    text = roofline_table(graph, 1)
    assert "No lower bounds for local-cpu, x86-avx2, x86-vnni, arm, " in text
    for name in (
        name for name, target in targets_by_name().items() if target not in list(jetsons())
    ):
        with pytest.raises(
            ValueError,
            match=rf"{name}: its peak throughput is unknown.*compile BUNDLE --target {name}",
        ):
            roofline_table(graph, 1, find_target(name))
