"""Forward passes that record batch-norm statistics, features and feature maps."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dfkd.errors import RecipeError


@dataclass(frozen=True)
class LayerStatistics:
    """Statistics of the input of one batch norm, and its stored statistics.

    Attributes:
        means: Means over the positions of each image (N, C).
        variances: Biased variances over the positions of each image (N, C).
        stored_mean: Means over the training data (C,).
        stored_variance: Variances over the training data (C,).
    """

    means: Tensor
    variances: Tensor
    stored_mean: Tensor
    stored_variance: Tensor

    @property
    def mean(self) -> Tensor:
        """Means over images and positions (C,)."""
        return self.means.mean(0)

    @property
    def variance(self) -> Tensor:
        """Biased variances over images and positions (C,).

        They are the variance within images plus the variance between images.
        """
        return self.variances.mean(0) + self.means.var(0, unbiased=False)


@dataclass
class ForwardPass:
    """The recorded outputs of one pass of a network.

    Attributes:
        logits: Logits (N, K), float32.
        statistics: Statistics of each batch norm's input, in the order of execution; empty unless
            recorded.
        features: Inputs of the last linear layer (N, F); None unless recorded.
        maps: Outputs (N, C, H, W) of the network's `compared_layers`; empty unless recorded.
    """

    logits: Tensor
    statistics: list[LayerStatistics] = field(default_factory=list)
    features: Tensor | None = None
    maps: list[Tensor] = field(default_factory=list)


def batch_norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    """Return a network's 2-d batch norms that have stored statistics."""
    return [
        module
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None
    ]


def last_linear(network: nn.Module) -> nn.Linear:
    """Return the layer that computes the logits from the features.

    Raises:
        RecipeError: If the network has no linear layer.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise RecipeError(
            "the recipe needs the inputs of the last linear layer, but the network has none"
        )
    return layers[-1]


def compared_layers(network: nn.Module) -> list[nn.Module]:
    """Return the layers whose outputs an objective can compare.

    Raises:
        RecipeError: If the network has no method `compared_layers`.
    """
    named = getattr(network, "compared_layers", None)
    if named is None:
        raise RecipeError(
            "the recipe compares stages, but only the built-in architectures have the method "
            "compared_layers: use one of them, or set attention and stages to 0"
        )
    return list(named())


def forward_with_features(
    network: nn.Module, images: Tensor, needs: Collection[str] = ()
) -> ForwardPass:
    """Pass images through a network once and record the values listed in `needs`.

    Args:
        network: A network; its train or eval mode is not changed.
        images: Normalized images (N, C, H, W), with or without a gradient.
        needs: Any of "statistics", "features" and "maps"; other names are ignored.

    Examples:
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
        >>> seen = forward_with_features(network, torch.zeros(3, 1, 2, 2), ("features",))
        >>> seen.logits.shape, seen.features.shape
        (torch.Size([3, 2]), torch.Size([3, 4]))
    """
    recorded = ForwardPass(images)
    with _recording(network, needs, recorded):
        recorded.logits = network(images).float()
    return recorded


@contextmanager
def _recording(network: nn.Module, needs: Collection[str], recorded: ForwardPass) -> Iterator[None]:
    def statistics(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        assert layer.running_mean is not None and layer.running_var is not None
        variances, means = torch.var_mean(inputs[0].float(), (2, 3), correction=0)
        recorded.statistics.append(
            LayerStatistics(means, variances, layer.running_mean, layer.running_var)
        )

    def features(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        recorded.features = inputs[0].float().flatten(1)

    def maps(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        recorded.maps.append(output.float())

    handles = []
    try:
        if "statistics" in needs:
            handles += [n.register_forward_pre_hook(statistics) for n in batch_norms(network)]
        if "features" in needs:
            handles.append(last_linear(network).register_forward_pre_hook(features))
        if "maps" in needs:
            handles += [n.register_forward_hook(maps) for n in compared_layers(network)]
        yield
    finally:
        for handle in handles:
            handle.remove()
