"""What passes through a network on its way to the logits: batch-norm inputs, features, maps."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dfkd.errors import RecipeError


@dataclass(frozen=True)
class LayerStatistics:
    """Statistics at the input of one batch norm, and what it remembers.

    Attributes:
        means: (N, C), of each image over positions.
        variances: (N, C), of each image over positions, biased.
        stored_mean: (C,), of the training data.
        stored_variance: (C,), of the training data.
    """

    means: Tensor
    variances: Tensor
    stored_mean: Tensor
    stored_variance: Tensor

    @property
    def mean(self) -> Tensor:
        """(C,), over images and positions."""
        return self.means.mean(0)

    @property
    def variance(self) -> Tensor:
        """(C,), over images and positions, biased: within images plus between them."""
        return self.variances.mean(0) + self.means.var(0, unbiased=False)


@dataclass
class Look:
    """One pass of a network.

    Attributes:
        logits: (N, K), float32.
        statistics: Of the batch norms' inputs, in the order of execution.
        features: (N, F), the input of the last linear layer; None unless asked for.
        maps: Outputs of the layers that the network names for it, (N, C, H, W) each.
    """

    logits: Tensor
    statistics: list[LayerStatistics] = field(default_factory=list)
    features: Tensor | None = None
    maps: list[Tensor] = field(default_factory=list)


def batch_norms(network: nn.Module) -> list[nn.BatchNorm2d]:
    """The 2-d batch norms of a network that remember statistics."""
    return [
        module
        for module in network.modules()
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None
    ]


def last_linear(network: nn.Module) -> nn.Linear:
    """The layer that turns features into logits.

    Raises:
        RecipeError: When the network has no linear layer.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise RecipeError("the recipe reads features before the last linear layer; there is none")
    return layers[-1]


def compared_layers(network: nn.Module) -> list[nn.Module]:
    """The layers whose outputs are compared, as attention maps or as they are.

    Raises:
        RecipeError: When the network does not name any.
    """
    named = getattr(network, "compared_layers", None)
    if named is None:
        raise RecipeError("the recipe compares stages; only registry networks name theirs")
    return list(named())


def look(network: nn.Module, images: Tensor, needs: Collection[str] = ()) -> Look:
    """Pass images (N, C, H, W) through a network once, and keep what `needs` names.

    Args:
        network: In the mode it should be in.
        images: With or without a gradient.
        needs: Out of "batch norm", "features" and "maps".
    """
    seen = Look(images)
    with _recording(network, needs, seen):
        seen.logits = network(images).float()
    return seen


@contextmanager
def _recording(network: nn.Module, needs: Collection[str], seen: Look) -> Iterator[None]:
    def statistics(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        assert layer.running_mean is not None and layer.running_var is not None
        variances, means = torch.var_mean(inputs[0].float(), (2, 3), correction=0)
        seen.statistics.append(
            LayerStatistics(means, variances, layer.running_mean, layer.running_var)
        )

    def features(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen.features = inputs[0].float().flatten(1)

    def maps(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> None:
        seen.maps.append(output.float())

    handles = []
    try:
        if "batch norm" in needs:
            handles += [n.register_forward_pre_hook(statistics) for n in batch_norms(network)]
        if "features" in needs:
            handles.append(last_linear(network).register_forward_pre_hook(features))
        if "maps" in needs:
            handles += [n.register_forward_hook(maps) for n in compared_layers(network)]
        yield
    finally:
        for handle in handles:
            handle.remove()
