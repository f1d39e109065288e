"""Pairs of layers between which the channels can be scaled."""

import math
from dataclasses import dataclass

from nncf.common.graph import NNCFGraphEdge
from torch import nn

from pipeline.tracing import operations as op
from pipeline.tracing.channel_operations import channel_operation
from pipeline.tracing.channel_weights import input_count
from pipeline.tracing.fixed_form import FixedForm
from pipeline.tracing.function_graph import FunctionGraph
from pipeline.tracing.layers import Layer, Source
from pipeline.tracing.trace import CONSTANT, Trace, made_by


@dataclass(frozen=True)
class ChannelPath:
    """Two layers and the operations between them. No other operation reads the values in between.

    The operations commute with a positive factor per channel if values are at most `bound`.

    Attributes:
        first: The layer that makes the channels.
        second: The layer that reads them.
        repeats: Number of input channels of `second` for each output channel of `first`.
        bound: Smallest upper limit of the operations, such as 6 for a ReLU6; infinite for a ReLU.
    """

    first: Layer
    second: Layer
    repeats: int
    bound: float


def channel_paths(root: FixedForm, graph: FunctionGraph) -> list[ChannelPath]:
    """Return all paths of a network without fake-quantizers, in the order of the calls."""
    found = [
        _path(graph, layer) for layer in graph.layers if has_own_parameters(root, graph, layer)
    ]
    return [
        path for path in found if path is not None and has_own_parameters(root, graph, path.second)
    ]


def has_own_parameters(root: FixedForm, graph: FunctionGraph, layer: Layer) -> bool:
    """Return whether a layer is called once and nothing else reads its weight or bias.

    Fake-quantizers of the weight are skipped.
    """
    if layer.weight is None or layer.function not in op.LAYERS or len(layer.calls) != 1:
        return False
    edges = graph.trace.inputs[layer.calls[0].output.operation]
    read = {name: edges[port] for name, port in _PORTS.items() if port in edges}
    names = {"weight": layer.weight, "bias": layer.bias}
    return all(
        _is_own(root, graph.trace, edge, names[attribute]) for attribute, edge in read.items()
    )


_PORTS = {"weight": op.WEIGHT_PORT, "bias": op.BIAS_PORT}


def _is_own(root: FixedForm, trace: Trace, edge: NNCFGraphEdge, name: str | None) -> bool:
    while edge.from_node.node_type in op.QUANTIZERS:
        edge = trace.inputs[edge.from_node.node_name][0]
    made = made_by(edge)
    if edge.from_node.node_type != CONSTANT or made.operation != name:
        return False
    return len(trace.readers[made]) == 1 and isinstance(root.get_tensor(name), nn.Parameter)


def _path(graph: FunctionGraph, first: Layer) -> ChannelPath | None:
    """Return the path from a layer to the next layer, or None if there is none."""
    layers = {layer.calls[0].output.operation: layer for layer in graph.layers}
    edge, repeats, bound = _only_reader(graph.trace, first.calls[0].output), 1, math.inf
    if edge is None or len(edge.tensor_shape) != len(first.weight_shape or ()):
        return None
    while edge is not None:
        name = edge.to_node.node_name
        if name in layers:
            second = layers[name]
            fits = len(edge.tensor_shape) == len(second.weight_shape or ())
            channels = edge.tensor_shape[1] if fits else 0
            path = ChannelPath(first, second, repeats, bound)
            return path if fits and channels == input_count(second) else None
        passed = channel_operation(graph.trace, name)
        if passed is None or (passed.kind == "clips" and passed.low not in (0.0, -math.inf)):
            return None
        if passed.kind == "clips" and passed.high <= 0:
            return None
        repeats, bound = repeats * passed.repeats, min(bound, passed.high)
        edge = _only_reader(graph.trace, Source(name, 0))
    return None


def _only_reader(trace: Trace, made: Source) -> NNCFGraphEdge | None:
    """Return where a tensor is read if it is read once, as the first argument; else None."""
    read = [edge for edge in trace.readers[made] if edge.to_node.node_type not in op.METADATA]
    return read[0] if len(read) == 1 and read[0].input_port_id == 0 else None
