"""Activation functions."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.teachers.graphs.builder import to_tensor
from pipeline.teachers.graphs.errors import GraphError
from pipeline.teachers.graphs.node import Node, number
from pipeline.teachers.graphs.values import Static, Traced


def clip(node: Node) -> Traced:
    """Convert Clip, with its limits as attributes or as inputs."""
    limits = [
        number(node.constant(index)) if node.has(index) else node.attribute(name)
        for index, name in ((1, "min"), (2, "max"))
    ]
    if limits == [0.0, 6.0]:
        return node.call(functional.relu6, node.traced())
    if limits == [None, None]:
        return node.traced()
    return node.call(partial(torch.clamp, min=limits[0], max=limits[1]), node.traced())


def leaky_relu(node: Node) -> Traced:
    """Convert LeakyRelu."""
    slope = node.attribute("alpha", 0.01)
    return node.call(partial(functional.leaky_relu, negative_slope=slope))


def prelu(node: Node) -> Traced:
    """Convert PRelu with one slope, or one for each channel."""
    images, slope = node.traced(), node.constant(1)
    channels = images.fixed_size(1) if images.ndim > 1 else None
    at_channels = (1,) * (images.ndim - slope.ndim) + slope.shape
    fits = len(at_channels) > 1 and at_channels[1] == channels
    if slope.size != 1 and not (slope.size == channels and fits):
        raise GraphError(f"its slope has the shape {[*slope.shape]}; one per channel is supported")

    def make() -> nn.Module:
        made = nn.PReLU(slope.size)
        made.weight = nn.Parameter(to_tensor(slope.reshape(-1)))
        return made

    return node.layer(make, (1,))


def elu(node: Node) -> Traced:
    """Convert Elu."""
    return node.call(partial(functional.elu, alpha=node.attribute("alpha", 1.0)))


def celu(node: Node) -> Traced:
    """Convert Celu."""
    return node.call(partial(functional.celu, alpha=node.attribute("alpha", 1.0)))


SELU = (1.67326319217681884765625, 1.05070102214813232421875)
"""The constants of torch's and ONNX's Selu."""


def selu(node: Node) -> Traced:
    """Convert Selu."""
    alpha, gamma = node.attribute("alpha", SELU[0]), node.attribute("gamma", SELU[1])
    if (alpha, gamma) == SELU:
        return node.call(functional.selu)
    return node.call(partial(_scaled_elu, alpha=alpha, gamma=gamma))


def hard_sigmoid(node: Node) -> Traced:
    """Convert HardSigmoid."""
    alpha, beta = node.attribute("alpha", 0.2), node.attribute("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-6 and beta == 0.5:
        return node.call(functional.hardsigmoid)
    return node.call(partial(_hard_sigmoid, alpha=alpha, beta=beta))


def gelu(node: Node) -> Traced:
    """Convert Gelu."""
    return node.call(partial(functional.gelu, approximate=node.attribute("approximate", "none")))


def thresholded_relu(node: Node) -> Traced:
    """Convert ThresholdedRelu."""
    alpha = node.attribute("alpha", 1.0)
    return node.call(partial(functional.threshold, threshold=alpha, value=0.0))


def softmax(node: Node) -> Traced:
    """Convert Softmax."""
    return _along_axis(node, torch.softmax)


def log_softmax(node: Node) -> Traced:
    """Convert LogSoftmax."""
    return _along_axis(node, torch.log_softmax)


def dropout(node: Node) -> Traced:
    """Convert Dropout, which does nothing outside training."""
    mode = node.value(2)
    if mode is not None and not (isinstance(mode, Static) and not mode.arrays[0].any()):
        raise GraphError("is in training mode; export the network in eval mode")
    return node.traced()


def _along_axis(node: Node, function: Callable[..., Tensor]) -> Traced:
    images = node.traced()
    axis = node.axis(-1 if node.opset >= 13 else 1, images.ndim)
    if node.opset >= 13 or axis == images.ndim - 1:
        return node.call(partial(function, dim=axis))
    shape = node.fixed_sizes_from(axis)
    return node.call(partial(_along_last_axes, function=function, axis=axis, shape=shape))


def _along_last_axes(
    images: Tensor, *, function: Callable[..., Tensor], axis: int, shape: tuple[int, ...]
) -> Tensor:
    """Apply a softmax to all axes from `axis` on together, as before opset 13."""
    flat: Tensor = function(images.flatten(axis), dim=-1).unflatten(-1, shape)
    return flat


def _hard_sigmoid(images: Tensor, *, alpha: float, beta: float) -> Tensor:
    return torch.clamp(images * alpha + beta, 0.0, 1.0)


def _scaled_elu(images: Tensor, *, alpha: float, gamma: float) -> Tensor:
    return functional.elu(images, alpha) * gamma
