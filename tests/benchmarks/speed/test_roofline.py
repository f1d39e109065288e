"""The roofline table against counts by hand and published counts."""

import json

import pytest

from benchmarks.result_pages import RESULTS
from benchmarks.speed.roofline import NETS, demand_of, render
from targets.catalogue.roofline import LAUNCH_US

COMMITTED = json.loads((RESULTS / "roofline.json").read_text())
ROWS = {(row["net"], row["target"], row["precision"]): row for row in COMMITTED}


def test_lenet5_demand_matches_a_count_by_hand():
    """6 and 16 channels of 5x5, 120 of 5x5, linear 84 and 10: 61,470 weights without biases."""
    found = demand_of("lenet5")
    macs = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 6 * 25 + 120 * 16 * 25 + 120 * 84 + 84 * 10
    assert (found.macs, found.weights) == (macs, 150 + 2400 + 48000 + 10080 + 840)


def test_resnet18_demand_matches_published_counts():
    """0.56 billion MACs with the CIFAR stem, 11.2 million weights."""
    found = demand_of("resnet18")
    assert found.macs == pytest.approx(0.5564e9, rel=0.01)
    assert found.weights == pytest.approx(11.16e6, rel=0.01)


def test_mobilenet_v2_demand_matches_published_counts():
    """300 million MACs and 3.4 million weights (Sandler et al. 2018)."""
    found = demand_of("mobilenet-v2")
    assert found.macs == pytest.approx(300e6, rel=0.02)
    assert found.weights == pytest.approx(3.4e6, rel=0.03)


@pytest.mark.parametrize(
    ("net", "target", "precision", "arithmetic", "memory", "kernels"),
    [
        # 2 x 300,774,272 / (8 SM x 4096 x 624.75 MHz)
        # 52 convolutions, a pooling and a linear layer
        ("mobilenet-v2", "orin-nano-8", "int8", 601_548_544 / 20.471808e9, None, 54),
        # 2 x 416,520 / (1 SM x 512 x 921.6 MHz); (2 x 61,470 + 4 x 1,034) / 25.6 GB/s
        ("lenet5", "nano", "fp16", 833_040 / 0.4718592e9, 127_076 / 25.6e6, 7),
        # 2 x 555,422,720 / (20 SM x 16384 x 1575 MHz)
        ("resnet18", "thor-t5000", "int8", 1_110_845_440 / 516.096e9, None, None),
    ],
)
def test_bounds_match_a_count_by_hand(net, target, precision, arithmetic, memory, kernels):
    row = ROWS[net, target, precision]
    assert row["arithmetic_ms"] == pytest.approx(arithmetic, rel=2e-3)
    if memory is not None:
        assert row["memory_ms"] == pytest.approx(memory, rel=2e-3)
    if kernels is not None:
        assert row["launch_ms"] == pytest.approx(kernels * LAUNCH_US / 1e3, rel=1e-6)


@pytest.mark.slow
def test_committed_page_matches_its_rows():
    demands = {net: demand_of(net) for net in NETS}
    assert (RESULTS / "roofline.md").read_text() == render(demands, COMMITTED)
