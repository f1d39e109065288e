"""Each gap in NNCF that our glue closes, and that the glue closes it."""

import copy

import nncf
import pytest
import torch
from nncf.torch.function_hook.wrapper import get_hook_storage
from nncf.torch.quantization import extensions
from nncf.torch.quantization.reference import ReferenceQuantizedFunctions
from torch import nn

from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline import fake_quantizers
from pipeline.batch_norm_folding import folded
from pipeline.errors import InputError
from pipeline.fake_quantizers import describe, prepare, quantizers, restore, to_torch_quantizers

SPEC = ImageSpec((1, 32, 32), (0.1307,), (0.3081,))


@pytest.fixture(scope="module")
def images():
    return torch.randn(64, 1, 32, 32, generator=torch.Generator().manual_seed(0))


def network(name="lenet5-half-bn"):
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
    return prepare(network(), images, half_range=False).eval()


def test_folding_keeps_the_answers_and_the_original(images):
    original = network()
    before = copy.deepcopy(original.state_dict())
    copied = folded(original)
    torch.testing.assert_close(copied(images), original(images), rtol=1e-4, atol=1e-5)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in copied.modules())
    torch.testing.assert_close(original.state_dict(), before)


def test_a_convolution_called_twice_keeps_its_batch_norms():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, x):
            return self.second(self.conv(self.first(self.conv(x))))

    shared, x = Twice().eval(), torch.randn(2, 3, 8, 8)
    shared.first.running_mean.fill_(2)
    shared.second.running_var.fill_(5)
    torch.testing.assert_close(folded(shared)(x), shared(x))


def test_a_batch_norm_without_memory_stays():
    plain = nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3, track_running_stats=False)).eval()
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(folded(plain)(x), plain(x))


def test_a_network_that_cannot_be_traced_is_refused():
    class Moody(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(InputError, match="cannot be traced"):
        folded(Moody())


def test_every_layer_is_quantized_and_every_activation_is_signed(prepared):
    found = dict(quantizers(prepared))
    weights = [q for q in found.values() if q.per_channel]
    activations = [q for q in found.values() if not q.per_channel]
    assert len(weights) == 5
    assert len(activations) == 5
    assert all(q.signed and (q.level_low, q.level_high) == (-128, 127) for q in activations)


def test_gap_nncf_still_counts_from_zero_after_a_relu(images):
    """When this fails, NNCF has closed the gap: drop the loop over quantizers in `prepare`."""
    plain = nncf.quantize(
        folded(network()), nncf.Dataset([images]), preset=nncf.QuantizationPreset.PERFORMANCE
    )
    assert not all(q.signed for _, q in quantizers(plain))


def test_gap_nncf_still_leaves_batch_norms_unfolded(images):
    """When this fails, NNCF folds by itself: drop `folded` from `prepare`."""
    plain = nncf.quantize(network(), nncf.Dataset([images]))
    assert any(isinstance(m, nn.BatchNorm2d) for m in plain.modules())


def test_half_range_weights_stay_within_64_levels(images):
    half = to_torch_quantizers(prepare(network(), images, half_range=True), images[:1])
    weight = half.convnet.c1.weight
    scale = next(
        hook.scale
        for name, hook in get_hook_storage(half).named_hooks()
        if name.startswith("pre_hooks.convnet/c1/")
    )
    levels = (weight / scale.view(-1, 1, 1, 1)).abs().max().item()
    assert 32 < levels <= 64.01


def test_a_layer_left_in_float_is_an_error(prepared):
    broken = copy.deepcopy(prepared)
    storage = get_hook_storage(broken)
    name = next(n for n, _ in storage.named_hooks() if n.startswith("pre_hooks.fc/f6"))
    storage.delete_hook(name)
    with pytest.raises(InputError, match=r"left the layer fc\.f6 in float"):
        fake_quantizers._require_quantized_layers(broken)


def test_what_is_described_and_saved_comes_back_the_same(prepared, images):
    again = restore(network(), describe(prepared), prepared.state_dict())
    torch.testing.assert_close(again(images), prepared(images), rtol=0, atol=0)


def test_fine_tuning_reaches_weights_and_scales(prepared, images):
    tuned = copy.deepcopy(prepared)
    tuned(images).square().sum().backward()
    scales = [q._scale_param_storage for _, q in quantizers(tuned)]
    assert all(s.grad is not None for s in scales)
    assert sum(s.grad.abs().sum() for s in scales) > 0
    assert tuned.convnet.c1.weight.grad.abs().sum() > 0


def test_without_hooks_there_is_nothing_quantized_to_tune(prepared, images):
    bare = copy.deepcopy(prepared)
    for name, _ in list(get_hook_storage(bare).named_hooks()):
        get_hook_storage(bare).delete_hook(name)
    assert not list(quantizers(bare))
    assert not torch.equal(bare(images), prepared(images))


def test_a_failed_kernel_build_is_an_error_not_a_slow_run(monkeypatch, images):
    class NoCompiler:
        def get(self, name):
            return getattr(ReferenceQuantizedFunctions, name)

    monkeypatch.setattr(extensions, "QuantizedFunctionsCPU", NoCompiler())
    with pytest.raises(InputError, match=r"C\+\+ compiler"):
        prepare(network(), images, half_range=False)
