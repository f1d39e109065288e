"""Operations that work on each channel separately and keep the order of channels."""

import math
from dataclasses import dataclass
from typing import Any, Literal

from nncf.common.graph import NNCFNode

from pipeline.tracing import operations as op
from pipeline.tracing.layers import Source
from pipeline.tracing.trace import Trace, made_by

CHANNEL_AXIS = 1


@dataclass(frozen=True)
class ChannelOperation:
    """What an operation does to the channels of its input.

    Attributes:
        kind: "moves" keeps all values. "averages" replaces values by unweighted means of values of
            the same channel. "clips" limits values to `low` and `high`. "scales" is any other
            operation that commutes with a positive factor per channel.
        repeats: Number of output channels for each input channel. It is above 1 if positions are
            flattened into channels.
        low: The lower limit.
        high: The upper limit.
    """

    kind: Literal["moves", "averages", "scales", "clips"]
    repeats: int = 1
    low: float = -math.inf
    high: float = math.inf


def channel_operation(trace: Trace, name: str) -> ChannelOperation | None:
    """Return what an operation does to channels, or None for all other operations.

    A fake-quantizer counts as "moves"; its rounding is ignored.

    Args:
        trace: The trace.
        name: NNCF's name of the operation.
    """
    node, readers = trace.named[name], trace.readers[Source(name, 0)]
    if node.node_type in op.QUANTIZERS:
        return ChannelOperation("moves")
    if not readers or trace.inputs[name].keys() != {0}:
        return None
    before = tuple(trace.inputs[name][0].tensor_shape)
    after = tuple(readers[0].tensor_shape)
    if node.node_type in op.CHANNEL_MOVES:
        return _move(before, after)
    if len(before) <= CHANNEL_AXIS or before[:2] != after[:2]:
        return None
    if node.node_type in op.RELUS:
        return ChannelOperation("clips", low=0.0)
    if node.node_type == "relu6":
        return ChannelOperation("clips", low=0.0, high=6.0)
    if node.node_type in op.CLAMPS:
        return _clamp(node)
    if node.node_type in op.AVERAGE_POOLS:
        return _average(node, before)
    commutes = (
        node.node_type in op.LEAKY_RELUS
        or (node.node_type in op.MAX_POOLS and len(before) > 3)
        or (node.node_type in op.PADDING and _pads_positions(node, before))
    )
    return ChannelOperation("scales") if commutes else None


def sum_terms(trace: Trace, name: str) -> tuple[Source, Source] | None:
    """Return the terms of a sum of two tensors of equal shape, or None for other operations."""
    node, edges = trace.named[name], trace.inputs[name]
    if node.node_type not in op.ADDITIONS or edges.keys() != {0, 1}:
        return None
    if tuple(edges[0].tensor_shape) != tuple(edges[1].tensor_shape):
        return None
    if "alpha" in node.layer_attributes.op_kwargs:
        return None
    return made_by(edges[0]), made_by(edges[1])


def _move(before: tuple[int, ...], after: tuple[int, ...]) -> ChannelOperation | None:
    """Return a "moves" operation if the new shape keeps images and the order of channels."""
    if min(len(before), len(after)) <= CHANNEL_AXIS or before[0] != after[0]:
        return None
    if math.prod(before) != math.prod(after):
        return None
    if before[CHANNEL_AXIS] == after[CHANNEL_AXIS]:
        return ChannelOperation("moves")
    if len(after) == 2:
        return ChannelOperation("moves", repeats=math.prod(before[2:]))
    return None


def _clamp(node: NNCFNode) -> ChannelOperation | None:
    hard = node.node_type.startswith("hardtanh")
    names, defaults = (
        (("min_val", "max_val"), (-1.0, 1.0)) if hard else (("min", "max"), (None,) * 2)
    )
    low, high = (
        _argument(node, position, name, default)
        for position, name, default in zip((1, 2), names, defaults, strict=True)
    )
    low, high = (-math.inf if low is None else low), (math.inf if high is None else high)
    if not (_is_number(low) and _is_number(high)):
        return None
    return ChannelOperation("clips", low=float(low), high=float(high))


def _average(node: NNCFNode, before: tuple[int, ...]) -> ChannelOperation | None:
    if node.node_type == "mean":
        axes = _argument(node, 1, "dim", ())
        axes = (axes,) if _is_number(axes) else tuple(axes or ())
        of_positions = axes and all(axis % len(before) > CHANNEL_AXIS for axis in axes)
        return ChannelOperation("averages") if of_positions else None
    if len(before) != 4:
        return None
    # Padded zeros, windows beyond the border and another divisor change the mean.
    padded = node.node_type == "avg_pool2d" and (
        _argument(node, 3, "padding", 0) not in (0, (0, 0), [0, 0])
        or _argument(node, 4, "ceil_mode", False)
        or _argument(node, 6, "divisor_override", None) is not None
    )
    return ChannelOperation("scales" if padded else "averages")


def _pads_positions(node: NNCFNode, before: tuple[int, ...]) -> bool:
    """Return whether a padding adds only zeros, or copies of values of the same channel."""
    amounts = _argument(node, 1, "pad", None) or _argument(node, 1, "padding", None)
    if not amounts or len(amounts) > 2 * (len(before) - 2):
        return False
    constant = _argument(node, 2, "mode", "constant") == "constant"
    return not constant or _argument(node, 3, "value", None) in (None, 0)


def _argument(node: NNCFNode, position: int, name: str, default: Any) -> Any:
    args, named = node.layer_attributes.op_args, node.layer_attributes.op_kwargs
    return args[position] if len(args) > position else named.get(name, default)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)
