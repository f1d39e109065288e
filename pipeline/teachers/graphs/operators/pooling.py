"""Pools and changes of the image size."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.teachers.graphs.errors import GraphError
from pipeline.teachers.graphs.node import Node, number
from pipeline.teachers.graphs.operators.windows import Window, image_sizes
from pipeline.teachers.graphs.values import Static, Traced

MAX_POOLS = {1: functional.max_pool1d, 2: functional.max_pool2d, 3: functional.max_pool3d}

AVERAGE_POOLS = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}

GLOBAL_MAX: dict[int, Callable[..., Tensor]] = {
    1: functional.adaptive_max_pool1d,
    2: functional.adaptive_max_pool2d,
    3: functional.adaptive_max_pool3d,
}

GLOBAL_AVERAGE: dict[int, Callable[..., Tensor]] = {
    1: functional.adaptive_avg_pool1d,
    2: functional.adaptive_avg_pool2d,
    3: functional.adaptive_avg_pool3d,
}


def max_pool(node: Node) -> Traced:
    """Convert MaxPool.

    Padding after the image that only completes the last window becomes `ceil_mode`; any other
    padding that differs between the sides becomes a call of its own, with minus infinity.
    """
    window = Window.of(node, node.integers("kernel_shape") or [])
    images, sizes = node.traced(), image_sizes(node)
    counts = window.positions(sizes, ceil_mode=bool(node.attribute("ceil_mode", 0)))
    padding = window.before
    same = Window(window.kernel, window.strides, window.dilations, padding, padding, ())
    modes = [mode for mode in (False, True) if same.positions(sizes, ceil_mode=mode) == counts]
    if not modes or any(2 * p > k for p, k in zip(padding, window.kernel, strict=True)):
        pad = partial(functional.pad, pad=window.torch_padding, value=float("-inf"))
        images, padding = node.call(pad, images), (0,) * len(padding)
        modes = [bool(node.attribute("ceil_mode", 0))]
    pool = partial(
        MAX_POOLS[len(sizes)],
        kernel_size=window.kernel,
        stride=window.strides,
        padding=padding,
        dilation=window.dilations,
        ceil_mode=modes[0],
    )
    return node.call(pool, images)


def average_pool(node: Node) -> Traced:
    """Convert AveragePool."""
    window = Window.of(node, node.integers("kernel_shape") or [])
    if any(dilation != 1 for dilation in window.dilations):
        raise GraphError(f"its dilations are {[*window.dilations]}; only 1 is supported")
    images, sizes = node.traced(), image_sizes(node)
    ceil_mode = bool(node.attribute("ceil_mode", 0))
    counts_padding = bool(node.attribute("count_include_pad", 0))
    pool = partial(
        AVERAGE_POOLS[len(sizes)],
        kernel_size=window.kernel,
        stride=window.strides,
        ceil_mode=ceil_mode,
    )
    padding = window.symmetric_padding
    halves = [2 * p <= k for p, k in zip(window.before, window.kernel, strict=True)]
    if padding is not None and all(halves):
        return node.call(partial(pool, padding=padding, count_include_pad=counts_padding), images)
    averages = node.call(pool, node.call(partial(functional.pad, pad=window.torch_padding), images))
    if counts_padding:
        return averages
    ones = functional.pad(torch.ones(1, 1, *sizes), window.torch_padding)
    correction = np.asarray(1 / pool(ones))
    return node.call(
        torch.mul, averages, Static((correction, correction), f"{node.proto.output[0]}/correction")
    )


def global_average_pool(node: Node) -> Traced:
    """Convert GlobalAveragePool."""
    return node.call(partial(GLOBAL_AVERAGE[node.traced().ndim - 2], output_size=1))


def global_max_pool(node: Node) -> Traced:
    """Convert GlobalMaxPool."""
    return node.call(partial(GLOBAL_MAX[node.traced().ndim - 2], output_size=1))


PAD_MODES = {"constant": "constant", "reflect": "reflect", "edge": "replicate"}


def pad(node: Node) -> Traced:
    """Convert Pad, with its sizes as attribute or as input."""
    images, mode = node.traced(), node.attribute("mode", "constant")
    if mode not in PAD_MODES:
        raise GraphError(f"its mode is {mode}; supported: {', '.join(PAD_MODES)}")
    pads = node.integers("pads", 1) or []
    axes = [int(axis) for axis in node.constant(3)] if node.has(3) else [*range(len(pads) // 2)]
    around = {axis % images.ndim: (pads[i], pads[i + len(axes)]) for i, axis in enumerate(axes)}
    padded = [axis for axis, sizes in around.items() if any(sizes)]
    if not padded:
        return images
    if images.batch_axis in padded:
        raise GraphError("adds images to the batch")
    sizes: list[int] = []
    for axis in range(images.ndim - 1, min(padded) - 1, -1):
        sizes += around.get(axis, (0, 0))
    value = number(node.constant(2)) if node.has(2) else node.attribute("value", 0.0)
    settings = {"value": value} if mode == "constant" else {"mode": PAD_MODES[mode]}
    return node.call(partial(functional.pad, pad=tuple(sizes), **settings), images)


def resize(node: Node) -> Traced:
    """Convert Resize and Upsample as `torch.nn.functional.interpolate` computes them."""
    images = node.traced()
    sizes, scales = _new_sizes(node, images)
    if sizes == image_sizes(node):
        return images
    mode = node.attribute("mode", "nearest")
    is_upsample = node.proto.op_type == "Upsample"
    at = node.attribute(
        "coordinate_transformation_mode", "asymmetric" if is_upsample else "half_pixel"
    )
    rounding = node.attribute("nearest_mode", "floor" if is_upsample else "round_prefer_floor")
    whole = all(new % old == 0 for new, old in zip(sizes, image_sizes(node), strict=True))
    flat = mode in ("linear", "cubic") and images.ndim == 4
    if node.attribute("antialias", 0):
        raise GraphError("antialias is not supported; export the network without it")
    settings: dict[str, Any] = {"size": tuple(sizes)}
    # torch takes the exact factor only as scale_factor.
    if scales is not None and any(
        scale * old != new for scale, new, old in zip(scales, sizes, image_sizes(node), strict=True)
    ):
        settings = {"scale_factor": tuple(scales)}
    if mode == "nearest" and at == "asymmetric" and rounding == "floor":
        settings["mode"] = "nearest"
    elif mode == "nearest" and at in ("half_pixel", "pytorch_half_pixel"):
        settings["mode"] = "nearest" if whole else "nearest-exact"
    elif flat and at in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        settings |= {
            "mode": "bilinear" if mode == "linear" else "bicubic",
            "align_corners": at == "align_corners",
        }
    else:
        raise GraphError(
            f"mode {mode} with {at} and {rounding} is not what torch computes; export the network "
            "with nearest or bilinear resizing"
        )
    return node.call(partial(functional.interpolate, **settings), images)


def _new_sizes(node: Node, images: Traced) -> tuple[list[int], list[float] | None]:
    """Return sizes along the axes of the image, and the scales if the node has them."""
    old = image_sizes(node)
    scales_at = {"Upsample": 1}.get(node.proto.op_type, 1 if node.opset < 11 else 2)
    if node.has(3):
        pairs = node.static(3).sizes[-len(old) :]
        if any(first != second for first, second in pairs):
            raise GraphError("the new size depends on the number of images")
        return [first for first, _ in pairs], None
    given = node.attribute("scales")
    scales = node.constant(scales_at).reshape(-1).tolist() if node.has(scales_at) else given
    if not scales or len(scales) != images.ndim or any(scale != 1 for scale in scales[:2]):
        raise GraphError("it must have sizes or scales for the axes of the image only")
    return [int(size * scale) for size, scale in zip(old, scales[2:], strict=True)], scales[2:]


def depth_to_space(node: Node) -> Traced:
    """Convert DepthToSpace."""
    block, mode = node.attribute("blocksize"), node.attribute("mode", "DCR")
    if mode == "CRD":
        return node.call(partial(functional.pixel_shuffle, upscale_factor=block))
    return node.call(partial(_depth_to_space, block=block))


def space_to_depth(node: Node) -> Traced:
    """Convert SpaceToDepth."""
    return node.call(partial(_space_to_depth, block=node.attribute("blocksize")))


def _depth_to_space(images: Tensor, *, block: int) -> Tensor:
    _, channels, height, width = images.shape
    split = images.reshape(-1, block, block, channels // block**2, height, width)
    return split.permute(0, 3, 4, 1, 5, 2).reshape(
        -1, channels // block**2, height * block, width * block
    )


def _space_to_depth(images: Tensor, *, block: int) -> Tensor:
    _, channels, height, width = images.shape
    split = images.reshape(-1, channels, height // block, block, width // block, block)
    return split.permute(0, 3, 5, 1, 2, 4).reshape(
        -1, channels * block**2, height // block, width // block
    )
