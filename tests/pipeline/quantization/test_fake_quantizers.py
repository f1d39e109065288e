"""Placement, bits, calibration and restoring of fake-quantizers."""

import copy

import pytest
import torch
from nncf.torch.function_hook.wrapper import get_hook_storage
from torch import nn
from torch.nn import functional as F

from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.quantization.fake_quantizers import (
    describe,
    prepare,
    quantizers,
    restore,
    to_torch_quantizers,
)
from pipeline.quantization.scheme import Scheme

SPEC = ImageSpec((1, 32, 32), (0.1307,), (0.3081,))


@pytest.fixture(scope="module")
def images():
    return torch.randn(64, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def network(name="lenet5-half-bn"):
    """Return an untrained network whose batch norms have random statistics."""
    torch.manual_seed(0)
    built = build(name, SPEC, 10)
    with torch.no_grad():
        for module in built.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return built.eval()


@pytest.fixture(scope="module")
def prepared(images):
    return prepare(network(), images, Scheme()).eval()


def test_every_layer_is_quantized_with_signed_activations(prepared):
    found = dict(quantizers(prepared))
    weights = [q for q in found.values() if q.per_channel]
    activations = [q for q in found.values() if not q.per_channel]
    assert len(weights) == 5
    assert len(activations) == 5
    assert all(q.signed and (q.level_low, q.level_high) == (-128, 127) for q in activations)


def test_half_range_weights_are_within_64_levels(images):
    half = to_torch_quantizers(prepare(network(), images, Scheme(half_range=True)))
    weight = half.network.convnet.c1.weight
    scale = next(
        hook.scale
        for name, hook in get_hook_storage(half).named_hooks()
        if name.startswith("pre_hooks.network/convnet/c1/")
    )
    levels = (weight / scale.view(-1, 1, 1, 1)).abs().max().item()
    assert 32 < levels <= 64.01


def test_restored_network_has_equal_logits(prepared, images):
    restored = restore(network(), images[:2], describe(prepared), prepared.state_dict())
    torch.testing.assert_close(restored(images), prepared(images), rtol=0, atol=0)


def test_gradients_reach_weights_and_scales(prepared, images):
    tuned = copy.deepcopy(prepared)
    tuned(images).square().sum().backward()
    scales = [q._scale_param_storage for _, q in quantizers(tuned)]
    assert all(s.grad is not None for s in scales)
    assert sum(s.grad.abs().sum() for s in scales) > 0
    assert tuned.network.convnet.c1.weight.grad.abs().sum() > 0


def test_deleting_hooks_removes_all_quantization(prepared, images):
    bare = copy.deepcopy(prepared)
    for name, _ in list(get_hook_storage(bare).named_hooks()):
        get_hook_storage(bare).delete_hook(name)
    assert not list(quantizers(bare))
    assert not torch.equal(bare(images), prepared(images))


def test_float_layers_stay_in_float(images):
    network_ = prepare(network(), images, Scheme(float_layers=("fc.f7",)))
    placed = [name for name, q in quantizers(network_) if q.per_channel]
    assert len(placed) == 4
    assert not any("fc/f7" in name for name in placed)


def test_weights_activations_and_edges_have_bits_of_scheme(images):
    scheme = Scheme(weight_bits=4, activation_bits=5, edge_bits=8)
    found = list(quantizers(prepare(network(), images, scheme)))
    weights = {name: q.num_bits for name, q in found if q.per_channel}
    activations = [q.num_bits for _, q in found if not q.per_channel]
    assert sorted(weights.values()) == [4, 4, 4, 8, 8]
    assert all(bits == 8 for name, bits in weights.items() if "c1/" in name or "f7/" in name)
    assert sorted(activations) == [5, 5, 5, 8, 8]


def test_below_eight_bits_activations_after_relu_are_unsigned(images):
    found = dict(quantizers(prepare(network(), images, Scheme(weight_bits=4, activation_bits=4))))
    after_relu = [q for name, q in found.items() if "relu" in name]
    assert after_relu
    assert all((q.level_low, q.level_high) == (0, 15) for q in after_relu)
    of_images = next(q for name, q in found.items() if "post_hooks.x" in name or "images" in name)
    assert (of_images.level_low, of_images.level_high) == (-128, 127)
    weight = next(q for q in found.values() if q.per_channel)
    assert (weight.level_low, weight.level_high) == (-7, 7)


def activations(name, scheme):
    """Return the activation quantizers of a small residual network by NNCF's name."""
    spec = ImageSpec((3, 32, 32), (0.5,) * 3, (0.25,) * 3)
    prepared_ = prepare(build(name, spec, 10, 0.25).eval(), torch.randn(8, 3, 32, 32), scheme)
    return {place: q for place, q in quantizers(prepared_) if not q.per_channel}


@pytest.mark.parametrize(("edge_bits", "image"), [(None, 8), (4, 4)])
@pytest.mark.parametrize(("name", "relus"), [("resnet20", 18), ("wrn-16-1", 12)])
def test_below_eight_bits_only_images_and_layer_inputs_are_quantized(name, relus, edge_bits, image):
    found = activations(name, Scheme(4, 4, edge_bits))
    of_image = found.pop("post_hooks.images__0.0")
    assert (of_image.num_bits, of_image.signed) == (image, True)
    assert {(q.num_bits, q.signed) for q in found.values()} == {(4, False)}
    assert sum("/relu/" in place for place in found) == relus
    assert [place for place in found if "relu" not in place] == [
        "post_hooks.network/adaptive_avg_pool2d/0__0.0"
    ]


class Branches(nn.Module):
    """Two layers take the pooled image; the outputs of two layers are concatenated."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(1, 4, 3, padding=1)
        self.c, self.f = nn.Conv2d(8, 4, 3), nn.Linear(4 * 14 * 14, 10)

    def forward(self, x):
        both = self.a(F.avg_pool2d(x, 2)) + self.b(F.max_pool2d(x, 2))
        two = torch.cat([both.relu(), self.b(F.max_pool2d(x, 2)).relu()], 1)
        return self.f(self.c(two).flatten(1))


@pytest.mark.parametrize("float_layers", [(), ("a",)])
def test_images_have_eight_bits_and_concatenated_inputs_share_a_quantizer(images, float_layers):
    torch.manual_seed(0)
    plain = Branches().eval()
    few = prepare(plain, images, Scheme(4, 4, float_layers=float_layers)).eval()
    inputs = {place: q for place, q in quantizers(few) if not q.per_channel}
    assert [q.num_bits for place, q in inputs.items() if place == "post_hooks.images__0.0"] == [8]
    assert not any("/add" in place or "__add__" in place for place in inputs)
    restored = restore(plain, images[:2], describe(few), few.state_dict())
    torch.testing.assert_close(restored(images), few(images), rtol=0, atol=0)


def test_network_with_deleted_quantizers_is_restored():
    spec = ImageSpec((3, 32, 32), (0.5,) * 3, (0.25,) * 3)
    plain, seen = build("resnet20", spec, 10, 0.25).eval(), torch.randn(8, 3, 32, 32)
    few = prepare(plain, seen, Scheme(4, 4)).eval()
    restored = restore(plain, seen[:2], describe(few), few.state_dict())
    assert len(list(quantizers(restored))) == len(list(quantizers(few)))
    torch.testing.assert_close(restored(seen), few(seen), rtol=0, atol=0)


@pytest.mark.parametrize(("name", "summed"), [("resnet20", "/conv2/conv2d/"), ("wrn-16-1", "/add")])
def test_at_eight_bits_inputs_of_sums_are_quantized(name, summed):
    assert sum(summed in place for place in activations(name, Scheme())) >= 3


@pytest.mark.parametrize("layer", ["convnet.c1", "fc.f7"])
def test_edge_layer_in_float_gives_its_bits_to_no_other_layer(images, layer):
    scheme = Scheme(weight_bits=4, activation_bits=4, edge_bits=8, float_layers=(layer,))
    found = [q for _, q in quantizers(prepare(network(), images, scheme))]
    assert sorted(q.num_bits for q in found if q.per_channel) == [4, 4, 4, 8]
    assert sorted(q.num_bits for q in found if not q.per_channel) == [4, 4, 4, 8]


def test_restored_network_keeps_bits_below_eight(images):
    few = prepare(network(), images, Scheme(weight_bits=3, activation_bits=4)).eval()
    restored = restore(network(), images[:2], describe(few), few.state_dict())
    torch.testing.assert_close(restored(images), few(images), rtol=0, atol=0)
