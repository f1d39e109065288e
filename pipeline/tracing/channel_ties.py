"""Which channels of a network's weights must be cut together.

A convolution's output channel is also a channel of the batch norm behind it and an input channel of
the next layer. A residual addition ties the channels of its terms, and a depthwise convolution ties
its outputs to its inputs.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from nncf.common.graph import NNCFNode
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn

from pipeline.tracing import operations as op
from pipeline.tracing.channel_operations import CHANNEL_AXIS, channel_operation
from pipeline.tracing.fixed_form import NETWORK_PREFIX, FixedForm
from pipeline.tracing.layers import Source
from pipeline.tracing.multiply_adds import groups
from pipeline.tracing.trace import CONSTANT, INPUT, OUTPUT, Trace, made_by
from pipeline.tracing.weight_baking import copy_with_plain_weights

Channels = NDArray[np.int64]
"""The channel of each position along an axis, as a number."""


@dataclass(frozen=True)
class ChannelTies:
    """The channels of a network. Positions with the same number must be cut together.

    Attributes:
        axes: For each weight, bias or buffer by name, the channels along each of its axes.
        is_fixed: (channels,) Whether a channel must keep its position, because a function reads it
            whose effect on channels is unknown.
        output_axes: The axis of the output channels in each layer's weight, by its name.
    """

    axes: dict[str, tuple[Channels, ...]]
    is_fixed: NDArray[np.bool_]
    output_axes: dict[str, int]


def channel_ties(network: nn.Module, example: Tensor) -> ChannelTies:
    """Return which channels of a network belong together.

    Args:
        network: Any network that maps images to logits. It is not changed.
        example: (N, C, H, W) images, on the network's device.

    Raises:
        InputError: If the network cannot be copied.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))
        >>> axes = channel_ties(network, torch.zeros(1, 3, 8, 8)).axes
        >>> (axes["0.weight"][0] == axes["2.weight"][1]).all()
        True
    """
    root = FixedForm(copy_with_plain_weights(network))
    return _Ties(root, Trace(root, example)).result()


class _Ties:
    """Follows the channels of every tensor through a network."""

    def __init__(self, root: FixedForm, trace: Trace) -> None:
        self.trace = trace
        self.count = 0
        state = {NETWORK_PREFIX + name: x for name, x in root.network.state_dict().items()}
        self.axes = {name: [self._new(size) for size in x.shape] for name, x in state.items()}
        self.followed: set[tuple[str, int]] = set()
        self.output_axes: dict[str, int] = {}
        self.tied: list[tuple[Channels, Channels]] = []
        self.fixed: list[Channels] = []
        self.channels: dict[Source, Channels] = {}
        for node in trace.nodes:
            made = self._made(node)
            if made is not None:
                self.channels[Source(node.node_name, 0)] = made
            elif node.node_type not in (INPUT, CONSTANT, *op.METADATA):
                self.fixed += self._read(node).values()

    def result(self) -> ChannelTies:
        """Return the channels, numbered after ties are joined."""
        unknown = [
            channels
            for name, axes in self.axes.items()
            for axis, channels in enumerate(axes)
            if (name, axis) not in self.followed
        ]
        first, second = (
            np.concatenate([pair[side] for pair in self.tied] or [_NONE]) for side in (0, 1)
        )
        ties = coo_array((np.ones(len(first)), (first, second)), shape=(self.count, self.count))
        _, labels = connected_components(ties, directed=False)
        is_fixed = np.zeros(self.count, dtype=bool)
        is_fixed[labels[np.concatenate([*self.fixed, *unknown, _NONE])]] = True
        return ChannelTies(
            {
                name.removeprefix(NETWORK_PREFIX): tuple(labels[channels] for channels in axes)
                for name, axes in self.axes.items()
            },
            is_fixed,
            {name.removeprefix(NETWORK_PREFIX): axis for name, axis in self.output_axes.items()},
        )

    def _made(self, node: NNCFNode) -> Channels | None:
        """Return the channels of what a node makes, or None if they are unknown."""
        read = self._read(node)
        if node.node_type in op.LAYERS:
            return self._layer_output(node, read.get(0))
        if node.node_type in op.ADDITIONS | op.MULTIPLICATIONS:
            return self._element_wise(node, read)
        if node.node_type in op.CONCATENATIONS:
            return self._concatenated(node, read)
        if 0 not in read or node.node_type in (CONSTANT, OUTPUT):
            return None
        return self._single_input(node, read[0])

    def _read(self, node: NNCFNode) -> dict[int, Channels]:
        """Return the known channels of the tensors that a node reads."""
        edges = self.trace.inputs[node.node_name].items()
        sources = {port: made_by(edge) for port, edge in edges}
        return {port: self.channels[x] for port, x in sources.items() if x in self.channels}

    def _single_input(self, node: NNCFNode, channels: Channels) -> Channels | None:
        before, after = self._shapes(node)
        if node.node_type in (op.BATCH_NORM, *op.PARAMETRIC_RELUS):
            for port in range(1, 5):
                self._follow_constant(node, port, 0, channels)
            return channels
        if node.node_type == "__getitem__":
            return self._indexed(node, channels, before, after)
        if node.node_type in op.PADDING and before[:1] == after[:1] and len(before) == len(after):
            padded = self._padded(node, channels, len(before))
            return padded if len(padded) == after[CHANNEL_AXIS] else None
        operation = channel_operation(self.trace, node.node_name)
        if operation is not None:
            return np.repeat(channels, operation.repeats)
        return channels if node.node_type in op.PER_CHANNEL and before[:2] == after[:2] else None

    def _layer_output(self, node: NNCFNode, read: Channels | None) -> Channels | None:
        weight, axis = self._constant(node, op.WEIGHT_PORT), op.LAYERS[node.node_type]
        before, _ = self._shapes(node)
        flat = node.node_type != "linear" or len(before) == 2
        if weight is None or not flat:
            self._fix(read)
            return None
        self.output_axes[weight] = axis
        count = 1 if node.node_type == "linear" else groups(node)
        outputs, inputs = self.axes[weight][axis], self.axes[weight][1 - axis]
        if count == 1:
            if read is not None:
                self._follow(weight, 1 - axis, read)
        elif read is not None and count == len(read) and axis == 0:  # Depthwise.
            outputs = self._follow(weight, 0, np.repeat(read, len(outputs) // count))
        else:
            self._fix(read)
            self.fixed += [outputs, inputs]
            outputs = self._new(len(outputs) * (count if axis else 1))
            self.fixed.append(outputs)
        self.followed.add((weight, axis))
        self._follow_constant(node, op.BIAS_PORT, 0, outputs)
        return outputs

    def _element_wise(self, node: NNCFNode, read: dict[int, Channels]) -> Channels | None:
        """Return the channels of a sum or product of tensors that may be broadcast."""
        edges = self.trace.inputs[node.node_name]
        rank = max((len(edge.tensor_shape) for edge in edges.values()), default=0)
        size = max(map(len, read.values()), default=0)
        whole = [channels for channels in read.values() if len(channels) == size]
        if not whole:
            return None
        for port, edge in edges.items():
            if port in read:
                fits = len(edge.tensor_shape) == rank and len(read[port]) in (1, size)
            else:
                fits = not self.trace.varies(edge)
                fits = fits and self._follow_factor(node, port, rank, whole[0])
            if not fits:
                return None
        self.tied += [(whole[0], channels) for channels in whole[1:]]
        return whole[0]

    def _follow_factor(self, node: NNCFNode, port: int, rank: int, channels: Channels) -> bool:
        """Tie a constant that is broadcast; return whether its effect on channels is known."""
        shape = self.trace.inputs[node.node_name][port].tensor_shape
        axis = CHANNEL_AXIS + len(shape) - rank
        if axis < 0 or shape[axis] == 1:
            return True
        if shape[axis] != len(channels) or self._constant(node, port) is None:
            return False
        self._follow_constant(node, port, axis, channels)
        return True

    def _concatenated(self, node: NNCFNode, read: dict[int, Channels]) -> Channels | None:
        edges = self.trace.inputs[node.node_name]
        _, after = self._shapes(node)
        if len(read) < len(edges) or len(after) <= CHANNEL_AXIS:
            return None
        joined = np.concatenate([read[port] for port in sorted(read)])
        return joined if len(joined) == after[CHANNEL_AXIS] else None

    def _indexed(
        self, node: NNCFNode, channels: Channels, before: tuple[int, ...], after: tuple[int, ...]
    ) -> Channels | None:
        """Return the channels that slices such as `x[:, :8, ::2, ::2]` select."""
        index: Any = node.layer_attributes.op_args[1]
        index = index if isinstance(index, tuple) else (index,)
        if len(before) != len(after) or not all(isinstance(part, slice) for part in index):
            return None
        return channels[index[CHANNEL_AXIS]] if len(index) > CHANNEL_AXIS else channels

    def _padded(self, node: NNCFNode, channels: Channels, rank: int) -> Channels:
        """Return the channels with new ones where channels of zeros are added."""
        args, named = node.layer_attributes.op_args, node.layer_attributes.op_kwargs
        amounts = list(args[1] if len(args) > 1 else named.get("pad", named.get("padding", ())))
        at = 2 * (rank - 1 - CHANNEL_AXIS)
        start, end = amounts[at : at + 2] if len(amounts) > at else (0, 0)
        if min(start, end) < 0:
            return _NONE
        return np.concatenate([self._new(start), channels, self._new(end)])

    def _follow_constant(self, node: NNCFNode, port: int, axis: int, channels: Channels) -> None:
        """Tie an axis of a parameter or buffer that a node reads directly, if there is one."""
        name = self._constant(node, port)
        if name is None:
            return
        if len(self.axes[name]) > axis and len(self.axes[name][axis]) == len(channels):
            self._follow(name, axis, channels)

    def _follow(self, name: str, axis: int, channels: Channels) -> Channels:
        self.tied.append((self.axes[name][axis], channels))
        self.followed.add((name, axis))
        return channels

    def _constant(self, node: NNCFNode, port: int) -> str | None:
        """Return the name of the parameter or buffer that a node reads directly, else None."""
        edge = self.trace.inputs[node.node_name].get(port)
        name = None if edge is None else edge.from_node.node_name
        return name if name in self.axes else None

    def _shapes(self, node: NNCFNode) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return the shapes of a node's first argument and of what it makes; () if unknown."""
        edges = self.trace.inputs[node.node_name]
        readers = self.trace.readers.get(Source(node.node_name, 0), [])
        before = tuple(edges[min(edges)].tensor_shape) if edges else ()
        return before, tuple(readers[0].tensor_shape) if readers else ()

    def _fix(self, channels: Channels | None) -> None:
        if channels is not None:
            self.fixed.append(channels)

    def _new(self, size: int) -> Channels:
        self.count += size
        return np.arange(self.count - size, self.count)


_NONE: Channels = np.empty(0, dtype=np.int64)
