"""Choose the teacher's channels that a narrower student takes over."""

from collections import defaultdict
from collections.abc import Hashable, Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor, nn

from pipeline.tracing.channel_ties import ChannelTies, channel_ties
from pipeline.tracing.output_norms import output_norms

Axis = tuple[str, int]
"""An axis of a weight, bias or buffer: its name and the axis."""

Positions = NDArray[np.int64]
"""Positions along an axis."""


class ChannelChoice:
    """Which of the teacher's channels each channel of the student takes.

    Args:
        student: The student.
        teacher: The teacher.
        example: (N, C, H, W) images, on the device of both.
        shared: Names of the tensors that both have and that may be copied.

    Raises:
        InputError: If a network cannot be copied or traced.
    """

    def __init__(
        self, student: nn.Module, teacher: nn.Module, example: Tensor, shared: set[str]
    ) -> None:
        self.student, self.teacher = (
            channel_ties(network, example) for network in (student, teacher)
        )
        known = self.student.axes.keys() & self.teacher.axes.keys() & shared
        self.axes = [(name, axis) for name in known for axis in range(len(self.student.axes[name]))]
        self.axes.sort()
        self.names = sorted(known)
        shapes, given = (
            {name: tensor.shape for name, tensor in network.state_dict().items()}
            for network in (student, teacher)
        )
        # Tensors from which a weight is computed, such as those of a weight norm.
        untraced = {name: shapes[name] for name in shared - known if shapes[name] == given[name]}
        self.copied = {name: list(map(np.arange, shape)) for name, shape in untraced.items()}
        self.norms = output_norms(teacher, example)

    def positions(self) -> dict[str, list[Positions]]:
        """Return the teacher's positions along each axis of each tensor that can be copied."""
        chosen = {axis: at for group in self._groups() for axis, at in self._positions(group)}
        found = {**self.copied}
        for name in self.names:
            axes = [(name, axis) for axis in range(len(self.student.axes[name]))]
            if all(axis in chosen for axis in axes):
                found[name] = [chosen[axis] for axis in axes]
        return found

    def _groups(self) -> Iterator[list[Axis]]:
        """Yield the axes that share channels, in the student or in the teacher."""
        pairs = []
        offset = len(self.axes)
        for ties in (self.student, self.teacher):
            for number, axis in enumerate(self.axes):
                channels = np.unique(_channels(ties, axis))
                pairs.append((np.full(len(channels), number), channels + offset))
            offset += len(ties.is_fixed)
        rows, columns = (np.concatenate([pair[side] for pair in pairs]) for side in (0, 1))
        graph = coo_array((np.ones(len(rows)), (rows, columns)), shape=(offset, offset))
        _, labels = connected_components(graph, directed=False)
        groups = defaultdict(list)
        for axis, label in zip(self.axes, labels, strict=False):
            groups[label].append(axis)
        yield from groups.values()

    def _positions(self, group: list[Axis]) -> Iterator[tuple[Axis, Positions]]:
        """Yield the teacher's positions along each axis of a group, for axes that can be cut."""
        sizes = {axis: len(_channels(self.student, axis)) for axis in group}
        if all(size == len(_channels(self.teacher, axis)) for axis, size in sizes.items()):
            for axis, size in sizes.items():
                yield axis, np.arange(size)
            return
        partners = self._partners(group)
        if partners is None:
            return
        for axis in group:
            few, many = (_channels(ties, axis) for ties in (self.student, self.teacher))
            yield axis, _matching(few, many, partners)

    def _partners(self, group: list[Axis]) -> dict[int, int] | None:
        """Return the teacher's channel for each channel of the student, or None if none fit.

        Channels are interchangeable if they occur in the same axes. Of each such set, the student
        takes the channels of largest norm, in their order.
        """
        wanted, given = (_interchangeable(ties, group) for ties in (self.student, self.teacher))
        norms = self._norms(group)
        partners: dict[int, int] = {}
        for kind, channels in wanted.items():
            candidates = given.get(kind, [])
            if len(candidates) < len(channels):
                return None
            order = np.argsort([-norms[x] for x in candidates], kind="stable")
            kept = sorted(order[: len(channels)])
            partners |= {
                channel: candidates[at] for channel, at in zip(channels, kept, strict=True)
            }
        return partners

    def _norms(self, group: list[Axis]) -> dict[int, float]:
        """Return the norm of each of the teacher's channels, over all layers that make it."""
        squares: dict[int, float] = defaultdict(float)
        for name, axis in group:
            if self.teacher.output_axes.get(name) == axis and name in self.norms:
                channels = _channels(self.teacher, (name, axis)).tolist()
                for channel, norm in zip(channels, self.norms[name].tolist(), strict=True):
                    squares[channel] += norm**2
        return squares


def _channels(ties: ChannelTies, axis: Axis) -> Positions:
    return ties.axes[axis[0]][axis[1]]


def _interchangeable(ties: ChannelTies, group: list[Axis]) -> dict[Hashable, list[int]]:
    """Return the channels by what identifies the axes in which they occur.

    A fixed channel is interchangeable with no other: its positions identify it.
    """
    occurs: dict[int, list[Hashable]] = defaultdict(list)
    for axis in group:
        channels = _channels(ties, axis)
        order = np.argsort(channels, kind="stable")
        values, starts = np.unique(channels[order], return_index=True)
        for value, at in zip(values.tolist(), np.split(order, starts[1:]), strict=True):
            where = (len(channels), tuple(at.tolist())) if ties.is_fixed[value] else len(at)
            occurs[value].append((axis, where))
    found: dict[Hashable, list[int]] = defaultdict(list)
    for value, places in occurs.items():
        found[tuple(places)].append(value)
    return found


def _matching(few: Positions, many: Positions, partners: dict[int, int]) -> Positions:
    """Return the position in `many` of the partner of each channel in `few`.

    A channel that occurs several times, as behind a flattening, keeps the order of its places.
    """
    places = defaultdict(list)
    for position, channel in enumerate(many.tolist()):
        places[channel].append(position)
    taken: dict[int, int] = defaultdict(int)
    found = []
    for channel in few.tolist():
        partner = partners[channel]
        found.append(places[partner][taken[partner]])
        taken[partner] += 1
    return np.array(found)
