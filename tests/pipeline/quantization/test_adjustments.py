"""Which adjustments are kept, and what the notes say about them."""

import pytest
import torch
from torch import nn

from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.quantization import adjustments
from pipeline.quantization.adjustments import Adjuster, adjustment_line
from pipeline.quantization.fake_quantizers import describe, prepare, restore
from pipeline.quantization.scheme import Scheme
from tests.support.network_forms import images

SCHEME = Scheme(4, 4)
NAMES = ("equalization", "squared-error ranges", "bias correction")


def others(count):
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(9))


def unbalanced():
    """Return a network with channels of very different ranges, as in MobileNetV2."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(8)
    layers = [nn.Conv2d(3, 8, 3), norm, nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))
    with torch.no_grad():
        factors = torch.tensor([100.0, 1, 1, 1, 0.01, 1, 10, 0.1])
        norm.weight.mul_(factors)
        norm.bias.add_(0.5).mul_(factors)
        network[3].weight.div_(factors.view(1, -1, 1, 1))
    return network.eval()


def error_of(prepared, network, x):
    with torch.no_grad():
        return float((prepared.eval()(x).double() - network(x).double()).square().mean())


@pytest.fixture(scope="module")
def adjusted():
    network = unbalanced()
    prepared, notes = Adjuster(images(64), others(32)).prepare(network, SCHEME)
    return network, prepared, notes


def test_error_is_that_of_the_logits_on_the_other_images(adjusted):
    network, prepared, notes = adjusted
    assert notes["images"] == 32
    plain = error_of(prepare(network, images(64), SCHEME), network, others(32))
    assert notes["error"] == pytest.approx(plain, rel=1e-3)
    least = min(
        [notes["error"], *(trial["error"] for trial in notes["tried"].values() if trial["kept"])]
    )
    assert error_of(prepared, network, others(32)) == pytest.approx(least, rel=1e-3)
    assert least < 0.5 * plain


def test_each_kept_adjustment_lowers_the_error(adjusted):
    notes = adjusted[2]
    error = notes["error"]
    for name in NAMES:
        found = notes["tried"][name]["error"]
        assert notes["tried"][name]["kept"] == (found < error)
        error = min(error, found)
    assert notes["tried"]["equalization"]["kept"]


def test_adjusted_network_is_restored(adjusted):
    network, prepared, _ = adjusted
    restored = restore(network, images(2), describe(prepared), prepared.state_dict())
    torch.testing.assert_close(restored(others(8)), prepared.eval()(others(8)), rtol=0, atol=0)


def test_adjustments_that_raise_the_error_are_not_kept(monkeypatch):
    def worse_equalization(root, example):
        root.network[3].weight.data.mul_(1_000)
        return 1

    def worse_correction(network, example):
        network.network[7].bias.data.add_(100)
        return 1

    monkeypatch.setattr(adjustments, "equalize", worse_equalization)
    monkeypatch.setattr(adjustments, "correct_biases", worse_correction)
    network = unbalanced()
    prepared, notes = Adjuster(images(64), others(32)).prepare(network, SCHEME)
    assert not notes["tried"]["equalization"]["kept"]
    assert not notes["tried"]["bias correction"]["kept"]
    kept = notes["tried"]["squared-error ranges"]["kept"]
    scheme = Scheme(4, 4, ranges="squared-error") if kept else SCHEME
    plain = prepare(network, images(64), scheme)
    torch.testing.assert_close(prepared.state_dict(), plain.state_dict(), rtol=0, atol=0)


def test_network_is_not_changed_and_adjustments_without_effect_are_not_tried():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 16), nn.SiLU(), nn.Flatten(), nn.Linear(4, 3)).eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    _, notes = Adjuster(images(8), others(8)).prepare(network, SCHEME)
    assert notes["tried"]["equalization"] == {"error": None, "kept": False}
    assert notes["tried"]["bias correction"] == {"error": None, "kept": False}
    torch.testing.assert_close(dict(network.state_dict()), before, rtol=0, atol=0)


def compared(name, *, keeps_maps):
    spec = ImageSpec((3, 32, 32), (0.5,) * 3, (0.25,) * 3)
    torch.manual_seed(0)
    network = build(name, spec, 10, 0.25).eval()
    x = torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    adjuster = Adjuster(x[:16], x[16:], keeps_maps=keeps_maps)
    return adjuster.prepare(network, SCHEME)[1]["tried"]["equalization"]


def test_equalization_that_changes_compared_maps_is_not_tried():
    """LeNet's compared maps are between two equalized layers; those of a ResNet are sums."""
    assert compared("lenet5-half-bn", keeps_maps=True)["error"] is None
    assert compared("lenet5-half-bn", keeps_maps=False)["error"] is not None
    assert compared("resnet20", keeps_maps=True)["error"] is not None


def test_line_names_errors_and_kept_adjustments():
    tried = {"a": {"error": 0.25, "kept": True}, "b": {"error": None, "kept": False}}
    tried["c"] = {"error": 0.125, "kept": True}
    assert adjustment_line({"images": 32, "error": 0.5, "tried": tried}) == (
        "squared logit error 0.5 -> 0.125 on 32 generated images that were not used for "
        "calibration; adjustments kept: a, c"
    )
    line = adjustment_line({"images": 8, "error": 0.5, "tried": {"a": {"error": 1, "kept": False}}})
    assert line.startswith("squared logit error 0.5 -> 0.5 on 8")
    assert line.endswith("adjustments kept: none")
