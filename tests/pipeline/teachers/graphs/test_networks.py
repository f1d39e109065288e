"""Networks that torch's two exporters wrote, against their origin: logits and gradients."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from dfkd.models import build
from dfkd.models.forward_pass import batch_norms
from tests.support.teacher_graphs import converted, exported, plain_spec

CLASSES = 10


class Mobile(nn.Module):
    """Depthwise convolutions, squeeze-and-excitation and a residual, as in MobileNet-v2 and v3."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6()
        )
        self.wide = nn.Sequential(
            nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.Hardswish()
        )
        self.depth = nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.squeeze, self.excite = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)
        self.narrow = nn.Conv2d(16, 8, 1, bias=False)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        first = self.stem(images)
        wide = functional.hardswish(self.norm(self.depth(self.wide(first))))
        small = functional.silu(self.squeeze(functional.adaptive_avg_pool2d(wide, 1)))
        wide = wide * functional.hardsigmoid(self.excite(small))
        return self.head((first + self.narrow(wide)).mean((2, 3)))


class Attention(nn.Module):
    """A vision transformer with one block."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.places = nn.Parameter(torch.randn(1, 17, 16))
        self.block = nn.TransformerEncoderLayer(
            16, 4, 32, activation="gelu", batch_first=True, norm_first=True, dropout=0.0
        )
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        patches = self.patches(images).flatten(2).transpose(1, 2)
        token = self.token.expand(images.shape[0], -1, -1)
        words = torch.cat((token, patches), 1) + self.places
        return self.head(self.norm(self.block(words))[:, 0])


class Shuffling(nn.Module):
    """Operators that move values: chunks, channel shuffle, pixel shuffle, padding, resizing."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(4, 4, 3)
        self.norm, self.slope = nn.GroupNorm(2, 8), nn.PReLU(8)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        found = self.slope(self.norm(self.first(images)))
        left, right = found.chunk(2, 1)
        right = self.second(functional.pad(right, (1, 1, 1, 1), mode="reflect"))
        both = torch.cat((left, right), 1)
        n, c, h, w = both.shape
        both = both.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        both = functional.interpolate(both, scale_factor=2, mode="bilinear")
        both = functional.pixel_shuffle(functional.pixel_unshuffle(both, 2), 2)
        both = functional.avg_pool2d(functional.max_pool2d(both, 3, 2, 1), 3, 2, 1)
        return self.head(both.amax((2, 3)) + both.mean((2, 3)))


def registered(name):
    def make():
        return build(name, plain_spec(shape_of(name)), CLASSES)

    return make


def shape_of(name):
    return (1, 28, 28) if "lenet" in name else (3, 16, 16)


NETWORKS = {
    "lenet5": registered("lenet5"),
    "lenet5-bn": registered("lenet5-bn"),
    "resnet20": registered("resnet20"),
    "mobile": Mobile,
    "attention": Attention,
    "shuffling": Shuffling,
}

QUICK = {("attention", "opset 18"), ("lenet5-bn", "batch norms"), ("shuffling", "batch norms")}

SCRIPT = {
    "opset 11": {"opset": 11},
    "opset 14": {"opset": 14},
    "opset 17": {"opset": 17},
    "batch norms": {"opset": 17, "keep_batch_norms": True},
    "batch of 1": {"opset": 17, "free": False},
}

DYNAMO = {
    "opset 18": {"opset": 18},
    "batch norms": {"opset": 21, "keep_batch_norms": True},
    "batch of 1": {"opset": 20, "free": False},
}

CASES = [
    pytest.param(name, {"dynamo": dynamo, **exports[key]}, id=f"{name}-{dynamo}-{key}", marks=marks)
    for dynamo, exports in ((False, SCRIPT), (True, DYNAMO))
    for key in exports
    for name in NETWORKS
    # torch cannot export `unflatten` before opset 13.
    if (name, key) != ("attention", "opset 11")
    # The second exporter takes seconds.
    for marks in ([] if not dynamo or (name, key) in QUICK else [pytest.mark.slow],)
]


def made(name):
    torch.manual_seed(0)
    network = NETWORKS[name]()
    for norm in batch_norms(network):
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 2)
    return network.eval()


def logits_and_gradient(network, images):
    images = images.clone().requires_grad_()
    logits = network(images)
    (gradient,) = torch.autograd.grad(logits.square().sum(), images)
    return logits.detach().numpy(), gradient.numpy()


@pytest.mark.parametrize(("name", "export"), CASES)
def test_an_exported_network_gives_the_same_logits_and_gradients(name, export):
    network, shape = made(name), shape_of(name)
    content = exported(network, shape, **export)
    found = converted(content, plain_spec(shape))
    images = torch.rand(5, *shape)
    logits, gradient = logits_and_gradient(found, images)
    expected, expected_gradient = logits_and_gradient(network, images)
    np.testing.assert_allclose(logits, expected, atol=1e-5, rtol=1e-4)
    scale = np.abs(expected_gradient).max()
    # A value at a kink, such as 0 before a ReLU, may get the gradient of the other side.
    far = np.abs(gradient - expected_gradient) > 1e-3 * scale
    assert far.mean() < 0.01
    if export.get("keep_batch_norms"):
        assert len(batch_norms(found)) == len(batch_norms(network))
        for one, other in zip(batch_norms(found), batch_norms(network), strict=True):
            torch.testing.assert_close(one.running_var, other.running_var)
