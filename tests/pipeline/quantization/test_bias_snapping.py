"""Biases rounded to the grid of integer kernels, so that torch and runtimes agree."""

import copy

import onnx
import pytest
import torch
from torch import nn

from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.export.onnx_export import export_onnx
from pipeline.quantization.bias_snapping import bias_grids, snap_biases
from pipeline.quantization.fake_quantizers import prepare, to_torch_quantizers
from pipeline.quantization.scheme import Scheme
from targets.catalogue.instruction_sets import Cpu
from targets.cpu.session import open_session, predict, rewrite_for_cpu
from targets.graph.bias_grid import bias_steps
from targets.graph.int8_weights import store_weights_as_int8

SPEC = ImageSpec((3, 16, 16), (0.5,) * 3, (0.25,) * 3)
X86 = Cpu("any", "x86_64", "vnni")


def images(count):
    return torch.randn(count, *SPEC.shape, generator=torch.Generator().manual_seed(count))


def network_with_statistics():
    """Return an untrained ResNet-20 whose batch norms have random statistics."""
    torch.manual_seed(0)
    network = build("resnet20", SPEC, 10)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.normal_(module.bias, std=0.3)
    return network.eval()


@pytest.fixture(scope="module")
def prepared():
    return prepare(network_with_statistics(), images(64), Scheme()).eval()


@pytest.fixture(scope="module")
def snapped(prepared):
    copied = copy.deepcopy(prepared)
    snap_biases(copied, images(2))
    return copied


def graph(network):
    return export_onnx(to_torch_quantizers(network), images(2), 17, None)


def levels(network):
    """Return every bias in steps of its grid."""
    return torch.cat(
        [network.get_parameter(layer.bias) / grid for layer, grid in bias_grids(network, images(2))]
    )


def test_grids_are_those_of_the_exported_graph(prepared):
    exported = [step for step in bias_steps(graph(prepared)) if step is not None]
    grids = bias_grids(prepared, images(2))
    assert len(grids) == len(exported) == 20
    for (_, grid), step in zip(grids, exported, strict=True):
        torch.testing.assert_close(grid, torch.from_numpy(step), rtol=1e-6, atol=0)


def test_every_bias_is_rounded_to_nearest_step(prepared, snapped):
    before, after = levels(prepared), levels(snapped)
    assert (before - before.round()).abs().max() > 0.4
    torch.testing.assert_close(after, after.round(), atol=0.05, rtol=0)
    torch.testing.assert_close(after, before, atol=0.55, rtol=0)


def test_snapping_twice_changes_nothing(snapped):
    again = copy.deepcopy(snapped)
    snap_biases(again, images(2))
    for twice, once in zip(again.parameters(), snapped.parameters(), strict=True):
        torch.testing.assert_close(twice, once, rtol=1e-6, atol=0)


def test_torch_and_onnxruntime_predict_the_same_classes(snapped, tmp_path):
    """Also with integer kernels, which change 1 % of the predictions without snapping."""
    stored = store_weights_as_int8(graph(snapped))
    onnx.save(stored, tmp_path / "exported.onnx")
    onnx.save(rewrite_for_cpu(copy.deepcopy(stored), X86), tmp_path / "rewritten.onnx")
    x = images(1000)
    with torch.no_grad():
        expected = snapped(x).numpy()
    off = predict(open_session(tmp_path / "exported.onnx", optimized=False), x.numpy())
    on = predict(open_session(tmp_path / "rewritten.onnx"), x.numpy())
    assert (off.argmax(1) == expected.argmax(1)).mean() >= 0.999
    assert (on.argmax(1) == expected.argmax(1)).mean() >= 0.995
