"""Normalization layers."""

from functools import partial
from math import prod

from torch import nn
from torch.nn import functional

from pipeline.teachers.graphs.builder import to_tensor
from pipeline.teachers.graphs.errors import GraphError
from pipeline.teachers.graphs.node import Node
from pipeline.teachers.graphs.values import Array, Traced

BATCH_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}

INSTANCE_NORMS = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}


def batch_norm(node: Node) -> Traced:
    """Convert BatchNormalization with its stored statistics.

    Raises:
        GraphError: If it computes the statistics of each batch.
    """
    if node.attribute("training_mode", 0) or len(node.proto.output) > 1:
        raise GraphError(
            "is in training mode, so the logits depend on the batch; export the network in eval "
            "mode"
        )
    scale, bias, mean, variance = (node.constant(index) for index in range(1, 5))
    eps = node.attribute("epsilon", 1e-5)

    def make() -> nn.Module:
        made = BATCH_NORMS[node.traced().ndim](len(scale), eps=eps)
        made.running_mean, made.running_var = to_tensor(mean), to_tensor(variance)
        return _with_affine(made, scale, bias)

    return node.layer(make, (1, 2, 3, 4), eps)


def instance_norm(node: Node) -> Traced:
    """Convert InstanceNormalization."""
    scale, bias = node.constant(1), node.constant(2)
    eps = node.attribute("epsilon", 1e-5)

    def make() -> nn.Module:
        made = INSTANCE_NORMS[node.traced().ndim](len(scale), eps=eps, affine=True)
        return _with_affine(made, scale, bias)

    return node.layer(make, (1, 2), eps)


def layer_norm(node: Node) -> Traced:
    """Convert LayerNormalization."""
    if len([name for name in node.proto.output if name]) > 1:
        raise GraphError("its mean is used elsewhere, which is not supported")
    images, scale = node.traced(), node.constant(1)
    bias = node.constant(2) if node.has(2) else None
    axis, eps = node.axis(-1, images.ndim), node.attribute("epsilon", 1e-5)
    sizes = node.fixed_sizes_from(axis)
    if scale.size != prod(sizes):
        raise GraphError(f"its scale has {scale.size} values for the axes {sizes}")

    def make() -> nn.Module:
        made = nn.LayerNorm(sizes, eps=eps, bias=bias is not None)
        return _with_affine(
            made, scale.reshape(sizes), None if bias is None else bias.reshape(sizes)
        )

    return node.layer(make, (1, 2), axis, eps)


def group_norm(node: Node) -> Traced:
    """Convert GroupNormalization of opset 21. ONNX deprecates that of opset 18."""
    images, scale, bias = node.traced(), node.constant(1), node.constant(2)
    groups, eps = node.attribute("num_groups"), node.attribute("epsilon", 1e-5)
    channels = images.fixed_size(1) or 0

    def make() -> nn.Module:
        return _with_affine(nn.GroupNorm(groups, channels, eps=eps), scale, bias)

    return node.layer(make, (1, 2), groups, eps)


def local_response_norm(node: Node) -> Traced:
    """Convert LRN."""
    return node.call(
        partial(
            functional.local_response_norm,
            size=node.attribute("size"),
            alpha=node.attribute("alpha", 1e-4),
            beta=node.attribute("beta", 0.75),
            k=node.attribute("bias", 1.0),
        )
    )


def _with_affine(made: nn.Module, weight: Array, bias: Array | None) -> nn.Module:
    made.weight = nn.Parameter(to_tensor(weight))
    if bias is not None:
        made.bias = nn.Parameter(to_tensor(bias))
    return made
