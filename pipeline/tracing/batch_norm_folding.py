"""Fold each batch norm into the layer before it, as inference runtimes do."""

from typing import Any

import torch
from torch import Tensor, nn

from base.errors import InputError
from pipeline.tracing.channel_weights import along_outputs
from pipeline.tracing.fixed_form import FixedForm
from pipeline.tracing.function_graph import FunctionGraph
from pipeline.tracing.layers import ChannelStatistics, Layer
from pipeline.tracing.weight_baking import copy_with_plain_weights


def fixed_form(network: nn.Module, example: Tensor) -> FixedForm:
    """Return a copy of a network in the form that is quantized and exported.

    Weights that are computed from others are replaced by their values. A batch norm is folded into
    the convolution or linear layer before it if both are called only once and nothing else reads
    the layer's output. All other batch norms use their stored statistics.

    Args:
        network: Any network that maps images to logits. It is not changed.
        example: (N, C, H, W) images, on the network's device.

    Returns:
        The copy. Its outputs equal those of `network` in eval mode up to rounding.

    Raises:
        InputError: If a batch norm has no stored statistics, or if the network cannot be copied.
    """
    root = FixedForm(copy_with_plain_weights(network))
    added = _add_zero_biases(root)
    graph = FunctionGraph(root, example)
    if graph.computed_weights:
        root.store_computed_weights(graph.computed_weights, example)
        graph = FunctionGraph(root, example)
    if graph.norms_of_batch_statistics:
        raise InputError(
            f"{type(network).__name__}: the batch norm {graph.norms_of_batch_statistics[0]} stores "
            "no statistics, so its results depend on the batch; train the network with "
            "track_running_stats=True"
        )
    for norm in graph.norms:
        owner = _owner(root, norm.layer) if norm.layer is not None else None
        if owner is not None and norm.layer is not None:
            module = root.get_submodule(norm.running_mean.rpartition(".")[0])
            _fold(owner, norm.layer, module)
            root.folded.add(norm.running_mean)
            root.statistics[norm.layer.name] = output_statistics(module)
            added.discard(owner)
    for module in added:
        module.register_parameter("bias", None)
    root.calls = graph.call_counts
    return root


def _add_zero_biases(root: FixedForm) -> set[nn.Module]:
    """Add a zero bias to each module that has none but can have one; return these modules."""
    added = set()
    for module in root.network.modules():
        parameters = module._parameters
        weight = parameters.get("weight")
        if "bias" in parameters and parameters["bias"] is None and weight is not None:
            channels = getattr(module, "out_channels", weight.shape[0])
            module.bias = nn.Parameter(torch.zeros(channels).to(weight), requires_grad=False)
            added.add(module)
    return added


def _owner(root: FixedForm, layer: Layer) -> nn.Module | None:
    """Return the module whose `weight` and `bias` a layer uses, if they are parameters."""
    assert layer.weight is not None
    path, _, attribute = layer.weight.rpartition(".")
    owner = root.get_submodule(path)
    own_weight = attribute == "weight" and isinstance(owner.weight, nn.Parameter)
    return owner if own_weight and layer.bias == f"{path}.bias" else None


@torch.no_grad()
def _fold(owner: nn.Module, layer: Layer, norm: nn.Module) -> None:
    """Fold a batch norm into a layer's weight and bias, computed in float64."""
    weight, bias = owner.weight, owner.bias
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    mean, variance = (getattr(norm, name).double() for name in ("running_mean", "running_var"))
    gain = (variance + norm.eps).rsqrt()
    if norm.weight is not None:
        gain = gain * norm.weight.double()
    shift = -mean * gain
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    shift = shift + bias.double() * gain
    weight.copy_(weight.double() * along_outputs(gain, layer))
    owner.bias = nn.Parameter(shift.to(weight))


@torch.no_grad()
def output_statistics(norm: nn.Module) -> ChannelStatistics:
    """Return the statistics of a batch norm's output for inputs with its stored statistics."""
    variance: Tensor = norm.running_var.double()  # type: ignore[assignment]
    eps: Any = norm.eps
    deviation = (variance / (variance + eps)).sqrt()
    mean = torch.zeros_like(variance)
    if isinstance(norm.bias, Tensor):
        mean = mean + norm.bias
    if isinstance(norm.weight, Tensor):
        deviation = deviation * norm.weight.abs()
    return ChannelStatistics(mean, deviation)
