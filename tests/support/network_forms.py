"""Small networks in the forms that people write, one for each way to call a layer."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IMAGE = (3, 16, 16)


def _block(inputs: int, outputs: int, **settings: object) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False, **settings)  # type: ignore[arg-type]
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def sequential() -> nn.Module:
    """Return a network whose root is a Sequential, which iterates over its own children."""
    return nn.Sequential(*_block(3, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))


class WithModuleList(nn.Module):
    """Layers of a list, a dictionary and a tuple are called by their index."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([_block(3, 8), _block(8, 8)])
        self.heads = nn.ModuleDict({"main": nn.Linear(8, 10), "auxiliary": nn.Linear(8, 4)})

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.heads["main"](x.mean((2, 3)))
        return logits


class PaddedConv(nn.Conv2d):
    """A subclass with a forward of its own."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, (0, 1, 0, 1))
        return F.conv2d(x, self.weight, self.bias, self.stride)


class Subclassed(nn.Module):
    """A subclassed convolution without a bias, followed by a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = PaddedConv(3, 8, 2, bias=False), nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(self.conv(x)).relu().mean((2, 3)))
        return logits


class Functional(nn.Module):
    """Weights are parameters of the root, passed by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 3, 3, 3) * 0.2)
        self.matrix = nn.Parameter(torch.randn(10, 8) * 0.3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(input=x, weight=self.kernel, bias=None, padding=1).relu()
        return F.linear(x.mean((2, 3)), weight=self.matrix)


class Reused(nn.Module):
    """One convolution is called three times, with one batch norm for two of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, padding=1), None
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(self.stem(x))).relu()
        x = self.norm(self.conv(x)).relu()
        logits: Tensor = self.head(self.conv(x).relu().mean((2, 3)))
        return logits


class Tied(nn.Module):
    """Two names of one layer, and a batch norm whose output is read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.first = nn.Conv2d(8, 8, 1)
        self.second = self.first
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x))
        x = self.second(self.first(x).relu()) + x
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


class Attention(nn.Module):
    """nn.MultiheadAttention, scaled_dot_product_attention and a product of activations."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 16, 4, stride=4)
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.projection, self.norm = nn.Linear(16, 48), nn.LayerNorm(16)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = self.norm(x + self.attention(x, x, x, need_weights=False)[0])
        query, key, value = self.projection(x).chunk(3, -1)
        x = x + F.scaled_dot_product_attention(query, key, value)
        x = x + (query @ key.transpose(1, 2)).softmax(-1) @ value
        logits: Tensor = self.head(x.mean(1))
        return logits


class SqueezeExcite(nn.Module):
    """Channels are scaled by a sigmoid; the depthwise convolution has a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = _block(3, 8), _block(8, 8, groups=8)
        self.squeeze, self.excite = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(self.stem(x))
        x = x * self.excite(self.squeeze(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


class Concatenated(nn.Module):
    """Branches are concatenated, shuffled and split again."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = _block(3, 8), _block(3, 8), _block(8, 8)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.a(x), self.b(x)], 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        first, second = x.chunk(2, 1)
        logits: Tensor = self.head(torch.cat([first, self.c(second)], 1).mean((2, 3)))
        return logits


class Transposed(nn.Module):
    """A grouped transposed convolution with a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _block(3, 8)
        self.up = nn.ConvTranspose2d(8, 12, 4, stride=2, padding=1, groups=2)
        self.norm, self.head = nn.BatchNorm2d(12), nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(self.up(self.stem(x))).relu().mean((2, 3)))
        return logits


class NormAfterLinear(nn.Module):
    """Tokens are flattened for a batch norm after a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.linear = nn.Conv2d(3, 8, 4, stride=4), nn.Linear(8, 12, bias=False)
        self.norm, self.head = nn.BatchNorm1d(12), nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(self.patch(x).flatten(2).transpose(1, 2))
        x = self.norm(x.flatten(0, 1)).reshape_as(x)
        logits: Tensor = self.head(x.mean(1))
        return logits


def weight_normalised() -> nn.Module:
    """Return a network with both forms of weight norm, and with spectral norm."""
    old = nn.utils.weight_norm(nn.Conv2d(3, 8, 3))
    new = nn.utils.parametrizations.weight_norm(nn.Conv2d(8, 8, 3))
    spectral = nn.utils.parametrizations.spectral_norm(nn.Conv2d(8, 8, 3))
    old_spectral = nn.utils.spectral_norm(nn.Linear(8, 10))
    layers = [old, nn.ReLU(), new, nn.ReLU(), spectral, nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), old_spectral)


class StandardisedConv(nn.Conv2d):
    """A convolution whose weight is standardised in every call."""

    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, correction=0)
        weight = (self.weight - mean) / (variance + 1e-5).sqrt()
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class ComputedWeights(nn.Module):
    """Weights are computed from parameters, and a fixed blur kernel is a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = StandardisedConv(3, 8, 3), StandardisedConv(8, 8, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8, 10)
        self.register_buffer("blur", torch.full((8, 1, 2, 2), 0.25))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        x = F.conv2d(self.second(self.second(x)), self.blur, groups=8)
        logits: Tensor = self.head(x.mean((2, 3)))
        return logits


class OddPools(nn.Module):
    """Pools to sizes that do not divide, larger and smaller than the input."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _block(3, 8)
        self.shrink, self.grow = nn.AdaptiveAvgPool2d((5, 7)), nn.AdaptiveAvgPool2d(9)
        self.head = nn.Linear(8 * 81, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.grow(self.shrink(self.stem(x))).flatten(1))
        return logits


class BatchSizes(nn.Module):
    """The number of images is read in several ways."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = _block(3, 8), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        count, *rest = x.shape
        x = x.reshape(count, *rest).view(len(x), *x.shape[1:])
        x = self.stem(torch.cat([x[:, i : i + 1] for i in range(x.shape[1])], 1))
        logits: Tensor = self.head(x.view(x.size(0), x.size(1), -1).mean(2))
        return logits


class VersionedHead(nn.Linear):
    """A layer that loads no state dict without a version, like torchvision's MNASNet."""

    _version = 2

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *others) -> None:  # type: ignore[no-untyped-def]
        if local_metadata.get("version") != 2:
            raise ValueError("the state dict has no version")
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)


def versioned() -> nn.Module:
    """Return a network with a layer that asks for its version."""
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(*_block(3, 8), pooled, VersionedHead(8, 10))


class Recurrent(nn.Module):
    """A recurrent layer after a convolution. It stays in float."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.memory = _block(3, 8), nn.GRU(8, 4, batch_first=True)
        self.head = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        sequence = self.block(x).mean(2).transpose(1, 2)
        logits: Tensor = self.head(self.memory(sequence)[0][:, -1])
        return logits


class MeanSquare(nn.Module):
    """Norms by mean squares, and einsum with a weight and between activations."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.norm = _block(3, 8), nn.RMSNorm(8)
        self.local = nn.LocalResponseNorm(4, alpha=0.1, k=2)
        self.mix, self.head = nn.Parameter(torch.randn(6, 8)), nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.local(self.block(x))
        features = torch.einsum("bchw,oc->bohw", x, self.mix).flatten(2)
        attended = torch.einsum("bci,bdi->bcd", features, features).softmax(-1) @ features
        logits: Tensor = self.head(attended.mean(2) + self.norm(features[:, :, :8]).mean(2))
        return logits


class PaddedByName(nn.Module):
    """Padding given as a word: dilated, with an even kernel, and none."""

    def __init__(self) -> None:
        super().__init__()
        self.dilated = nn.Conv2d(3, 8, 3, padding="same", dilation=2, groups=1)
        self.even = nn.Conv2d(8, 8, (2, 3), padding="same", groups=2, bias=False)
        self.valid, self.head = nn.Conv2d(8, 8, 3, padding="valid"), nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.dilated.weight, padding="same", dilation=2).relu()
        logits: Tensor = self.head(self.valid(self.even(x).relu()).mean((2, 3)))
        return logits


class ClippedBranches(nn.Module):
    """ReLU6 after a batch norm, as module and as function, and a convolution with two readers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 8, 3, groups=8)
        self.norm, self.clip, self.third = nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 1)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.clip(self.norm(self.first(x))))
        both = torch.cat([self.third(F.relu6(x)), x.sigmoid()], 1)
        logits: Tensor = self.head(both.mean((2, 3)))
        return logits


FORMS = {
    "batch-sizes": (BatchSizes, 2, 1),
    "sequential": (sequential, 2, 1),
    "module-list": (WithModuleList, 3, 2),
    "subclassed": (Subclassed, 2, 1),
    "functional": (Functional, 2, 0),
    "reused": (Reused, 3, 0),
    "tied": (Tied, 3, 1),
    "attention": (Attention, 11, 0),
    "squeeze-excite": (SqueezeExcite, 5, 2),
    "concatenated": (Concatenated, 4, 3),
    "transposed": (Transposed, 3, 2),
    "norm-after-linear": (NormAfterLinear, 3, 1),
    "weight-normalised": (weight_normalised, 4, 0),
    "computed-weights": (ComputedWeights, 4, 0),
    "odd-pools": (OddPools, 2, 1),
    "versioned": (versioned, 2, 1),
    "recurrent": (Recurrent, 2, 1),
    "padded-by-name": (PaddedByName, 4, 0),
    "clipped-branches": (ClippedBranches, 4, 1),
    "mean-square": (MeanSquare, 5, 1),
}
"""Each form: its constructor, the number of layers, the number of batch norms that are folded."""


def form(name: str) -> nn.Module:
    """Return an untrained network of this form, whose batch norms have random statistics."""
    torch.manual_seed(0)
    network = FORMS[name][0]()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                nn.init.normal_(module.running_mean, std=0.3)
                nn.init.uniform_(module.running_var, 0.5, 2)
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.normal_(module.bias, std=0.3)
    return network.eval()


def images(count: int) -> Tensor:
    """Return the same normalised images in every call."""
    return torch.randn(count, *IMAGE, generator=torch.Generator().manual_seed(0))
