"""The table of int8 networks on CIFAR-10: networks, run files, intervals and page."""

import math

import pytest
import torch
import torch.nn.functional as F

from benchmarks import result_pages
from benchmarks.cifar10_int8 import run as row_run
from benchmarks.cifar10_int8.jobs import JOBS, OWN
from benchmarks.cifar10_int8.networks import SamePaddedConvolution, mobilenet_quarter, resnet8
from benchmarks.cifar10_int8.page import render
from benchmarks.paired_scores import mean_drop
from pipeline.config.run_file import parse_run

ROW = {
    "network": "resnet8",
    "method": "generator-images",
    "seed": 0,
    "fp32": 90.0,
    "int8": 80.0,
    "only_fp32_right": 2,
    "only_int8_right": 1,
    "images": 10,
    "integer_layers": 9,
    "layers": 10,
    "seconds": {"quantize": 60},
    "peak_gib": 1.0,
    "machine": "a machine",
}


def test_keys_are_unique_and_all_digests_differ():
    assert len({job.key for job in JOBS}) == len({job.digest() for job in JOBS}) == len(JOBS)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.key)
def test_run_files_are_valid(job, tmp_path, monkeypatch):
    monkeypatch.setattr(row_run, "trained_weights", lambda *_: tmp_path / "w.safetensors")
    config = parse_run(row_run.run_of(job, tmp_path, tmp_path), "run.yaml")
    assert (config.quantize.method, config.seed) == (job.method, job.seed)


@pytest.mark.parametrize(("size", "stride", "length"), [(3, 1, 8), (3, 2, 8), (3, 2, 7), (1, 2, 8)])
def test_convolution_pads_more_at_the_end(size, stride, length):
    """TensorFlow pads (ceil(n / s) - 1) s + k - n pixels, the odd one at the end."""
    torch.manual_seed(0)
    layer, images = SamePaddedConvolution(2, 3, size, stride), torch.randn(1, 2, length, length)
    total = max(0, (math.ceil(length / stride) - 1) * stride + size - length)
    padded = F.pad(images, (total // 2, total - total // 2) * 2)
    expected = F.conv2d(padded, layer.weight, stride=stride)
    torch.testing.assert_close(layer(images), expected)
    assert layer(images).shape[-1] == math.ceil(length / stride)


@pytest.mark.parametrize(
    ("factory", "convolutions"), [(resnet8, 9), (mobilenet_quarter, 27)], ids=list(OWN)
)
def test_networks_have_their_published_layers(factory, convolutions):
    network = factory(10)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    found = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(found) == convolutions


def test_drop_is_the_paired_mean_over_the_seeds():
    """Differences of 1 and 3 in 10: 20 points; the mean variance of both seeds, not the half."""
    points, half = mean_drop([ROW, {**ROW, "only_fp32_right": 3, "only_int8_right": 0}])
    assert points == pytest.approx(20)
    assert half == pytest.approx(196 * math.sqrt((0.3 - 0.04) / 10))


def test_page_compares_with_the_earlier_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(result_pages, "RESULTS", tmp_path)
    (tmp_path / "quantization.json").write_text(
        '[{"teacher": "resnet8", "choice": "generator images", "seed": 0, "fp32": 90, '
        '"quantized": 89, "weight_bits": 8, "activation_bits": 8}]'
    )
    page = render([ROW], 3)
    assert "| resnet8 | generator-images | 0 | 90.00 | 80.00 | 10.00 [" in page
    assert "| 10.00 | 1.00 | +9.00 |" in page
    assert "Not measured yet: 3" in page
