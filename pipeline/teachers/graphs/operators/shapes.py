"""Operators that move, select or repeat values."""

from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.teachers.graphs.builder import expanded
from pipeline.teachers.graphs.errors import FREE_THE_BATCH, GraphError
from pipeline.teachers.graphs.network import BATCH
from pipeline.teachers.graphs.node import Node
from pipeline.teachers.graphs.values import BATCHES, Sequence, Size, Static, Traced, at_batch, line


def reshape(node: Node) -> Traced:
    """Convert Reshape.

    In a graph with a fixed batch size, the constant target is made free along the axis that holds
    the images.
    """
    images = node.traced()
    if node.has(1):
        target = node.static(1).sizes
    else:
        target = [(size, size) for size in node.integers("shape") or []]
    copies = not node.attribute("allowzero", 0)
    target = [
        images.sizes[axis] if copies and size == (0, 0) else size
        for axis, size in enumerate(target)
    ]
    is_fixed = all(first == second for first, second in target) or (-1, -1) in target
    if node.file_batch is not None and is_fixed and images.batch_axis is not None:
        return reshaped(node, images, _freed(images, target, node.file_batch))
    return reshaped(node, images, target)


def reshaped(node: Node, images: Traced, target: list[Size]) -> Traced:
    """Reshape a value; one size may be (-1, -1)."""
    totals = [prod(sizes) for sizes in zip(*images.sizes, strict=True)]
    if (-1, -1) in target:
        known = [prod(size[i] for size in target if size != (-1, -1)) for i in range(len(BATCHES))]
        rest = (totals[0] // max(1, known[0]), totals[1] // max(1, known[1]))
        target = [rest if size == (-1, -1) else size for size in target]
    if target == images.sizes:
        return images
    varying = [axis for axis, (first, second) in enumerate(target) if first != second]
    lines = tuple((0, -1) if varying == [axis] else line(size) for axis, size in enumerate(target))
    if len(varying) < 2:
        return node.call(partial(_reshape, sizes=tuple(offset for _, offset in lines)), images)
    return node.call(partial(_reshape_lines, lines=lines), images, BATCH)


def _freed(images: Traced, target: list[Size], batch: int) -> list[Size]:
    """Return the target for any batch size, given that for the batch size of the file."""
    total = prod(at_batch(size, batch) for size in images.sizes)
    sizes = [at_batch(size, batch) for size in target]
    if -1 in sizes:
        known = prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = total // max(1, known)
    axis = _images_axis(images, sizes, batch)
    if axis is None:
        raise GraphError(f"its target {sizes} mixes the images of a batch; {FREE_THE_BATCH}")
    factor = sizes[axis] // batch
    freed: list[Size] = [(size, size) for size in sizes]
    freed[axis] = (factor * BATCHES[0], factor * BATCHES[1])
    return freed


def _images_axis(images: Traced, sizes: list[int], batch: int) -> int | None:
    """Return the axis that holds the images after a reshape to `sizes`, or None.

    A batch of one image leaves no trace in `sizes`, so the likeliest axis is returned: one of the
    batch's size, at the place of the images in the input; else the axis before it, if the axes
    after it stay the same or a matrix is made; else the axis at its place.
    """
    along = images.batch_axis
    assert along is not None
    before = prod(size for size, _ in images.sizes[:along])
    after = [size for size, _ in images.sizes[along + 1 :]]
    factor, _ = line(images.sizes[along])
    axes = [axis for axis, size in enumerate(sizes) if size % batch == 0]
    for place in (before, before * factor):
        for axis in axes:
            if prod(sizes[:axis]) == place and sizes[axis] == batch:
                return axis
    at_place = [axis for axis in axes if prod(sizes[:axis]) == before]
    if at_place and before > 1 and (sizes[at_place[0] :] == after or len(sizes) == 2):
        return at_place[0] - 1
    return at_place[0] if at_place else None


def flatten(node: Node) -> Traced:
    """Convert Flatten."""
    images = node.traced()
    axis = node.axis(1, images.ndim)
    if axis == 1 and images.ndim > 1:
        return images if images.ndim == 2 else node.call(partial(torch.flatten, start_dim=1))
    firsts, seconds = zip(*images.sizes, strict=True)
    target = [
        (prod(firsts[:axis]), prod(seconds[:axis])),
        (prod(firsts[axis:]), prod(seconds[axis:])),
    ]
    return reshaped(node, images, target)


def transpose(node: Node) -> Traced:
    """Convert Transpose; two that cancel each other are left out."""
    images = node.traced()
    order = tuple(node.integers("perm") or range(images.ndim)[::-1])
    source, earlier = node.builder.permuted.get(images.name, (images, tuple(range(images.ndim))))
    combined = tuple(earlier[axis] for axis in order)
    if combined == tuple(range(images.ndim)):
        return source
    found = node.call(partial(torch.permute, dims=combined), source)
    node.builder.permuted[found.name] = source, combined
    return found


def squeeze(node: Node) -> Traced:
    """Convert Squeeze."""
    images = node.traced()
    axes = node.integers("axes", 1)
    if axes is None:
        axes = [axis for axis, size in enumerate(images.sizes) if size == (1, 1)]
    removed = {axis % images.ndim for axis in axes}
    if any(images.sizes[axis] != (1, 1) for axis in removed):
        raise GraphError(
            "removes an axis that is not 1 for every batch size; export the network with a free "
            "batch size (dynamic_axes or dynamic_shapes)"
        )
    return reshaped(node, images, [s for axis, s in enumerate(images.sizes) if axis not in removed])


def unsqueeze(node: Node) -> Traced:
    """Convert Unsqueeze."""
    images = node.traced()
    axes = node.integers("axes", 1) or []
    added = {axis % (images.ndim + len(axes)) for axis in axes}
    rest = iter(images.sizes)
    target = [(1, 1) if a in added else next(rest) for a in range(images.ndim + len(axes))]
    return reshaped(node, images, target)


def concat(node: Node) -> Traced:
    """Convert Concat; constants with one row are repeated for each image."""
    traced = [value for value in node.inputs if isinstance(value, Traced)]
    axis = node.axis(0, traced[0].ndim)
    along = traced[0].batch_axis
    values: list[Any] = []
    for value in node.inputs:
        constant = value.constant if isinstance(value, Static) else None
        if constant is not None and along not in (None, axis):
            if constant.size == 0:
                continue
            row = constant.take([0], along)
            pairs = traced[0].sizes[along]
            rows = [np.repeat(row, size, along) for size in pairs]
            assert isinstance(value, Static)
            values.append(Static((rows[0], rows[1]), value.name))
        else:
            values.append(value)
    return node.call(partial(_concat, axis=axis), *values)


def split(node: Node) -> list[Traced]:
    """Convert Split, with its sizes as attribute or as input, or into equal parts."""
    images, count = node.traced(), len(node.proto.output)
    axis = node.axis(0, images.ndim)
    size = images.fixed_size(axis)
    if size is None:
        raise GraphError("splits the batch; export the network for single images")
    part = -(-size // count)
    sizes = node.integers("split", 1) or [min(part, size - part * i) for i in range(count)]
    function = partial(torch.split, split_size_or_sections=sizes, dim=axis)
    if count == 1:
        return [images]
    return node.builder.call_several(function, count, images)


def split_to_sequence(node: Node) -> Sequence:
    """Convert SplitToSequence."""
    images = node.traced()
    axis = node.axis(0, images.ndim)
    size = images.fixed_size(axis)
    if size is None:
        raise GraphError("splits the batch; export the network for single images")
    part = node.constant(1) if node.has(1) else np.array(1)
    sizes = (
        part.tolist()
        if part.ndim
        else [min(int(part), size - i) for i in range(0, size, int(part))]
    )
    function = partial(torch.split, split_size_or_sections=sizes, dim=axis)
    parts = node.builder.call_several(function, len(sizes), images) if len(sizes) > 1 else [images]
    if not node.has(1) and not node.attribute("keepdims", 1):
        parts = [node.call(partial(torch.squeeze, dim=axis), one) for one in parts]
    return Sequence(tuple(parts))


def sequence_at(node: Node) -> Traced:
    """Convert SequenceAt with a constant position."""
    sequence = node.value(0)
    if not isinstance(sequence, Sequence):
        raise GraphError("its sequence is not made by SplitToSequence")
    return sequence.parts[int(node.constant(1))]


def slice_(node: Node) -> Traced:
    """Convert Slice, with its limits as attributes or as inputs."""
    images = node.traced()
    starts, ends = (_limits(node, name, at) for name, at in (("starts", 1), ("ends", 2)))
    axes = node.integers("axes", 3) or [*range(len(starts))]
    steps = node.integers("steps", 4) or [1] * len(starts)
    slices, flipped = [slice(None)] * images.ndim, []
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis %= images.ndim
        found = [
            slice(start[i], end[i], step).indices(images.sizes[axis][i])
            for i in range(len(BATCHES))
        ]
        if step < 0:  # torch has no negative steps.
            kept = [range(*indices) for indices in found]
            found = [(r[-1], r[0] + 1, -step) if len(r) else (0, 0, 1) for r in kept]
            flipped.append(axis)
        whole = all(
            indices == (0, size, 1) for indices, size in zip(found, images.sizes[axis], strict=True)
        )
        if whole:
            continue
        if found[0] != found[1]:
            raise GraphError("selects images of the batch; export the network for single images")
        slices[axis] = slice(*found[0])
    if any(s != slice(None) for s in slices):
        images = node.call(partial(_select, index=tuple(slices)), images)
    return node.call(partial(torch.flip, dims=flipped), images) if flipped else images


def gather(node: Node) -> Traced:
    """Convert Gather with constant indices."""
    images, indices = node.traced(), node.constant(1)
    axis = node.axis(0, images.ndim)
    size = images.fixed_size(axis)
    if size is None:
        raise GraphError("selects images of the batch; export the network for single images")
    if indices.size and not (-size <= indices.min() and indices.max() < size):
        raise GraphError(f"its indices exceed the axis of size {size}; correct the graph")
    chosen = indices % size
    if indices.ndim == 0:
        index = (*[slice(None)] * axis, int(chosen))
        return node.call(partial(_select, index=index), images)
    flat = Static((chosen.reshape(-1),) * 2, f"{node.proto.output[0]}/indices")
    found = node.call(partial(_gather, axis=axis), images, flat)
    sizes = [(size, size) for size in indices.shape]
    return reshaped(node, found, [*images.sizes[:axis], *sizes, *images.sizes[axis + 1 :]])


def expand(node: Node) -> Traced:
    """Convert Expand."""
    images, target = node.traced(), node.static(1).sizes
    added = max(0, len(target) - images.ndim)
    old = [(1, 1)] * added + images.sizes
    target = [(1, 1)] * (len(old) - len(target)) + target
    new = [size if size != (1, 1) else wanted for size, wanted in zip(old, target, strict=True)]
    if new == images.sizes:
        return images
    lines = tuple(
        None if index >= added and size == old[index] else line(size)
        for index, size in enumerate(new)
    )
    return node.call(partial(expanded, lines=lines), images, BATCH)


def tile(node: Node) -> Traced:
    """Convert Tile."""
    return node.call(partial(_tile, repeats=node.constant(1).tolist()), node.traced())


def einsum(node: Node) -> Traced:
    """Convert Einsum."""
    return node.call(partial(torch.einsum, node.attribute("equation")))


def trilu(node: Node) -> Traced:
    """Convert Trilu."""
    diagonal = int(node.constant(1)) if node.has(1) else 0
    function = torch.triu if node.attribute("upper", 1) else torch.tril
    return node.call(partial(function, diagonal=diagonal), node.traced())


def shape(node: Node) -> Static:
    """Return the sizes that Shape yields: no call of the network."""
    sizes = node.traced().sizes[slice(node.attribute("start", 0), node.attribute("end"))]
    first, second = (np.array([size[i] for size in sizes], np.int64) for i in range(len(BATCHES)))
    return Static((first, second), node.proto.output[0])


def size(node: Node) -> Static:
    """Return the number of values that Size yields: no call of the network."""
    first, second = (
        np.array(prod(size[i] for size in node.traced().sizes), np.int64)
        for i in range(len(BATCHES))
    )
    return Static((first, second), node.proto.output[0])


def identity(node: Node) -> Traced:
    """Return the input."""
    return node.traced()


def _limits(node: Node, name: str, index: int) -> list[Size]:
    if node.has(index):
        return node.static(index).sizes
    return [(value, value) for value in node.integers(name) or []]


def _reshape(images: Tensor, *, sizes: tuple[int, ...]) -> Tensor:
    return images.reshape(sizes)


def _reshape_lines(images: Tensor, batch: int, *, lines: tuple[tuple[int, int], ...]) -> Tensor:
    return images.reshape([factor * batch + offset for factor, offset in lines])


def _concat(*tensors: Tensor, axis: int) -> Tensor:
    return torch.cat(tensors, axis)


def _select(images: Tensor, *, index: tuple[Any, ...]) -> Tensor:
    return images[index]


def _gather(images: Tensor, indices: Tensor, *, axis: int) -> Tensor:
    return images.index_select(axis, indices)


def _tile(images: Tensor, *, repeats: list[int]) -> Tensor:
    return images.repeat(repeats)
