"""Convolutions, linear layers and matrix products."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from pipeline.teachers.graphs.builder import to_tensor
from pipeline.teachers.graphs.errors import GraphError
from pipeline.teachers.graphs.node import Node
from pipeline.teachers.graphs.operators.windows import Window
from pipeline.teachers.graphs.values import Array, Static, Traced

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}

TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def conv(node: Node) -> Traced:
    """Convert Conv. Padding that differs between the sides becomes a call of its own."""
    weight = node.constant(1)
    bias = node.constant(2) if node.has(2) else None
    window = Window.of(node, weight.shape[2:])
    images = node.traced()
    padding = window.symmetric_padding
    if padding is None:
        images = node.call(partial(functional.pad, pad=window.torch_padding), images)
        padding = (0,) * len(window.kernel)
    groups = node.attribute("group", 1)

    def make() -> nn.Module:
        return _with_weights(
            CONVOLUTIONS[len(window.kernel)],
            (weight.shape[1] * groups, weight.shape[0], window.kernel),
            {
                "stride": window.strides,
                "padding": padding,
                "dilation": window.dilations,
                "groups": groups,
            },
            weight,
            bias,
        )

    return replace(node, inputs=[images, *node.inputs[1:]]).layer(make, (1, 2), window, groups)


def conv_transpose(node: Node) -> Traced:
    """Convert ConvTranspose."""
    weight = node.constant(1)
    bias = node.constant(2) if node.has(2) else None
    window = Window.of(node, weight.shape[2:], transposed=True)
    padding, groups = window.symmetric_padding, node.attribute("group", 1)
    if padding is None or node.attribute("output_shape") is not None:
        raise GraphError(
            "its padding differs between the sides, or output_shape is set; export it with equal "
            "pads and output_padding"
        )

    def make() -> nn.Module:
        return _with_weights(
            TRANSPOSED[len(window.kernel)],
            (weight.shape[0], weight.shape[1] * groups, window.kernel),
            {
                "stride": window.strides,
                "padding": padding,
                "output_padding": window.output_padding,
                "dilation": window.dilations,
                "groups": groups,
            },
            weight,
            bias,
        )

    return node.layer(make, (1, 2), window, groups)


def gemm(node: Node) -> Traced:
    """Convert Gemm: a linear layer, or a matrix product if its weight is no constant."""
    alpha, beta = node.attribute("alpha", 1.0), node.attribute("beta", 1.0)
    first_is_transposed = bool(node.attribute("transA", 0))
    second_is_transposed = bool(node.attribute("transB", 0))
    second = node.value(1)
    addend = node.value(2)
    bias = addend.constant if isinstance(addend, Static) else None
    if isinstance(second, Static) and not first_is_transposed and (not addend or bias is not None):
        factor = np.float32(alpha)
        weight = node.constant(1) * factor
        weight = weight if second_is_transposed else weight.T
        if bias is None or bias.size == 1 or bias.size == bias.shape[-1] == len(weight):
            if bias is not None:
                bias = np.broadcast_to(bias.reshape(-1) * np.float32(beta), (len(weight),))
            make = partial(linear, weight, bias)
            return node.layer(make, (1, 2), alpha, beta, second_is_transposed)
    product = node.call(
        partial(_product, first=first_is_transposed, second=second_is_transposed, alpha=alpha),
        node.value(0),
        second,
    )
    return node.call(partial(torch.add, alpha=beta), product, addend) if addend else product


def matmul(node: Node) -> Traced:
    """Convert MatMul: a linear layer if the second factor is a constant matrix."""
    second = node.value(1)
    if isinstance(second, Static) and second.constant is not None and second.constant.ndim == 2:
        return node.layer(partial(linear, second.constant.T, None), (1,))
    return node.call(torch.matmul)


def fused_bias(node: Node) -> Traced | None:
    """Add a constant to the layer before an Add, as its bias, if nothing else reads that layer."""
    position = 0 if isinstance(node.value(0), Traced) else 1
    product, addend = node.value(position), node.value(1 - position)
    if not isinstance(product, Traced) or not isinstance(addend, Static):
        return None
    layer, bias = node.builder.module_called_once(product), addend.constant
    if bias is None or node.readers.get(node.proto.input[position], 0) != 1:
        return None
    if isinstance(layer, nn.Linear):
        channels, axes_after = layer.out_features, 0
    elif isinstance(layer, nn.Conv2d):
        channels, axes_after = layer.out_channels, 2
    else:
        return None
    shape = (1,) * (product.ndim - axes_after - 1) + (channels,) + (1,) * axes_after
    if layer.bias is not None or bias.shape != shape[-bias.ndim :]:
        return None
    layer.bias = nn.Parameter(to_tensor(bias.reshape(-1)))
    node.builder.stop_sharing(layer)
    return product


def linear(weight: Array, bias: Array | None) -> nn.Module:
    """Return a linear layer with a weight of shape (outputs, inputs)."""
    return _with_weights(nn.Linear, (weight.shape[1], weight.shape[0]), {}, weight, bias)


def _with_weights(
    module: Callable[..., nn.Module],
    sizes: Sequence[Any],
    settings: dict[str, Any],
    weight: Array,
    bias: Array | None,
) -> nn.Module:
    if prod(weight.shape) == 0:
        raise GraphError("its weight is empty; export the graph again")
    made = module(*sizes, bias=bias is not None, **settings, device="meta")
    made.weight = nn.Parameter(to_tensor(weight))
    if bias is not None:
        made.bias = nn.Parameter(to_tensor(bias))
    return made


def _product(a: torch.Tensor, b: torch.Tensor, *, first: bool, second: bool, alpha: float) -> Any:
    product = torch.matmul(a.t() if first else a, b.t() if second else b)
    return product if alpha == 1 else product * alpha
