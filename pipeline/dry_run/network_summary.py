"""Summarise the size of a network and which layers are quantized."""

from dataclasses import dataclass

from torch import nn

from pipeline.quantization.scheme import Scheme
from pipeline.tracing.function_graph import FunctionGraph
from pipeline.tracing.layers import LAYER_TYPES, FloatFunction, Layer

FLOAT_BY_NAME = "named in quantize.float_layers"


@dataclass(frozen=True)
class FloatLayer:
    """A layer that stays in float.

    Attributes:
        name: Name of the layer.
        reason: Why it stays in float.
        share: Its share of the network's multiply-adds, 0 to 1.
    """

    name: str
    reason: str
    share: float


@dataclass(frozen=True)
class NetworkSummary:
    """Size and quantization of a student.

    Attributes:
        parameters: Number of parameters.
        layers: Number of convolutions, linear layers and products of activations.
        multiply_adds: Multiply-adds of these layers, for one image.
        quantized_share: Share of the multiply-adds that are quantized, 0 to 1.
        float_layers: The layers that stay in float.
        uncalled: Layers that the network never calls in eval mode, such as auxiliary heads.
    """

    parameters: int
    layers: int
    multiply_adds: int
    quantized_share: float
    float_layers: tuple[FloatLayer, ...]
    uncalled: tuple[str, ...]


def summarise(network: nn.Module, graph: FunctionGraph, scheme: Scheme) -> NetworkSummary:
    """Return the summary of a network.

    Args:
        network: The network.
        graph: The function graph of its fixed form.
        scheme: How to quantize the network.
    """
    total = graph.multiply_adds
    parts: list[tuple[Layer | FloatFunction, str]] = [
        (layer, FLOAT_BY_NAME) for layer in graph.layers if scheme.keeps_in_float(layer.name)
    ]
    parts += [(call, f"{call.function} cannot be quantized") for call in graph.float_functions]
    in_float = tuple(
        FloatLayer(part.name, reason, part.multiply_adds / max(1, total)) for part, reason in parts
    )
    called = {layer.name.partition("[")[0] for layer in graph.layers} | graph.called_weights
    same_weight = {
        id(module.weight)
        for name, module in network.named_modules()
        if isinstance(module, LAYER_TYPES) and name in called
    }
    uncalled = tuple(
        name
        for name, module in network.named_modules()
        if isinstance(module, LAYER_TYPES)
        and name not in called
        and id(module.weight) not in same_weight
        and not _is_part_of_called(name, called)
    )
    return NetworkSummary(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        layers=len(graph.layers),
        multiply_adds=total,
        quantized_share=1 - sum(layer.share for layer in in_float),
        float_layers=in_float,
        uncalled=uncalled,
    )


def _is_part_of_called(name: str, called: set[str]) -> bool:
    """Return whether a called layer's weight is computed from a parameter of this module."""
    return any(other.startswith(f"{name}.") for other in called)
