"""The table of operators: their names in ONNX and their converters."""

from collections.abc import Callable

import torch
from torch.nn import functional

from pipeline.teachers.graphs.node import Node
from pipeline.teachers.graphs.operators import (
    activations,
    arithmetic,
    layers,
    normalization,
    pooling,
    shapes,
)
from pipeline.teachers.graphs.operators.arithmetic import binary, reduction, unary, variadic
from pipeline.teachers.graphs.values import Traced, Value

Converter = Callable[[Node], Value | list[Traced]]

OPERATORS: dict[str, Converter] = {
    # Layers
    "Conv": layers.conv,
    "ConvTranspose": layers.conv_transpose,
    "Gemm": layers.gemm,
    "MatMul": layers.matmul,
    # Normalization
    "BatchNormalization": normalization.batch_norm,
    "GroupNormalization": normalization.group_norm,
    "InstanceNormalization": normalization.instance_norm,
    "LayerNormalization": normalization.layer_norm,
    "LRN": normalization.local_response_norm,
    # Activations
    "Celu": activations.celu,
    "Clip": activations.clip,
    "Dropout": activations.dropout,
    "Elu": activations.elu,
    "Erf": unary(torch.erf),
    "Gelu": activations.gelu,
    "HardSigmoid": activations.hard_sigmoid,
    "HardSwish": unary(functional.hardswish),
    "LeakyRelu": activations.leaky_relu,
    "LogSoftmax": activations.log_softmax,
    "Mish": unary(functional.mish),
    "PRelu": activations.prelu,
    "Relu": unary(functional.relu),
    "Selu": activations.selu,
    "Sigmoid": unary(torch.sigmoid),
    "Softmax": activations.softmax,
    "Softplus": unary(functional.softplus),
    "Softsign": unary(functional.softsign),
    "Tanh": unary(torch.tanh),
    "ThresholdedRelu": activations.thresholded_relu,
    # Arithmetic
    "Abs": unary(torch.abs),
    "Add": arithmetic.add,
    "And": binary(torch.logical_and),
    "Cast": arithmetic.cast,
    "CastLike": arithmetic.cast_like,
    "Ceil": unary(torch.ceil),
    "Cos": unary(torch.cos),
    "Div": binary(torch.div),
    "Equal": binary(torch.eq),
    "Exp": unary(torch.exp),
    "Floor": unary(torch.floor),
    "Greater": binary(torch.gt),
    "GreaterOrEqual": binary(torch.ge),
    "Less": binary(torch.lt),
    "LessOrEqual": binary(torch.le),
    "Log": unary(torch.log),
    "Max": variadic(torch.maximum),
    "Mean": arithmetic.mean,
    "Min": variadic(torch.minimum),
    "Mul": binary(torch.mul),
    "Neg": unary(torch.neg),
    "Not": unary(torch.logical_not),
    "Or": binary(torch.logical_or),
    "Pow": binary(torch.pow),
    "Reciprocal": unary(torch.reciprocal),
    "Round": unary(torch.round),
    "Sign": unary(torch.sign),
    "Sin": unary(torch.sin),
    "Sqrt": unary(torch.sqrt),
    "Sub": binary(torch.sub),
    "Sum": variadic(torch.add),
    "Where": arithmetic.where,
    # Reductions
    "ReduceL1": reduction(arithmetic.l1),
    "ReduceL2": reduction(arithmetic.l2),
    "ReduceLogSum": reduction(arithmetic.log_sum),
    "ReduceLogSumExp": reduction(torch.logsumexp),
    "ReduceMax": reduction(torch.amax),
    "ReduceMean": reduction(torch.mean),
    "ReduceMin": reduction(torch.amin),
    "ReduceProd": reduction(torch.prod, several=False),
    "ReduceSum": reduction(torch.sum),
    "ReduceSumSquare": reduction(arithmetic.sum_square),
    # Pools and image sizes
    "AveragePool": pooling.average_pool,
    "DepthToSpace": pooling.depth_to_space,
    "GlobalAveragePool": pooling.global_average_pool,
    "GlobalMaxPool": pooling.global_max_pool,
    "MaxPool": pooling.max_pool,
    "Pad": pooling.pad,
    "Resize": pooling.resize,
    "SpaceToDepth": pooling.space_to_depth,
    "Upsample": pooling.resize,
    # Shapes
    "Concat": shapes.concat,
    "Einsum": shapes.einsum,
    "Expand": shapes.expand,
    "Flatten": shapes.flatten,
    "Gather": shapes.gather,
    "Identity": shapes.identity,
    "Reshape": shapes.reshape,
    "SequenceAt": shapes.sequence_at,
    "Shape": shapes.shape,
    "Size": shapes.size,
    "Slice": shapes.slice_,
    "Split": shapes.split,
    "SplitToSequence": shapes.split_to_sequence,
    "Squeeze": shapes.squeeze,
    "Tile": shapes.tile,
    "Transpose": shapes.transpose,
    "Trilu": shapes.trilu,
    "Unsqueeze": shapes.unsqueeze,
}
"""How each operator becomes calls of torch."""
