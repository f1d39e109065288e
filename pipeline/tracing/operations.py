"""Names of the torch functions that quantization treats differently, as in NNCF's graph."""

LAYERS = {
    "conv1d": 0,
    "conv2d": 0,
    "conv3d": 0,
    "linear": 0,
    "conv_transpose1d": 1,
    "conv_transpose2d": 1,
    "conv_transpose3d": 1,
}
"""Functions with a weight, and the axis of the output channels in that weight."""

WEIGHT_PORT, BIAS_PORT, GROUPS_PORT = 1, 2, 6
"""Arguments of the functions in `LAYERS`, by position. Argument 0 is the input.

In a transposed convolution the groups are argument 6 too; dilation follows them.
"""

PRODUCTS = {
    "matmul": 0,
    "__matmul__": 0,
    "mm": 0,
    "bmm": 0,
    "addmm": 1,
    "baddbmm": 1,
}
"""Functions that multiply two matrices, and the position of their first factor."""

UNQUANTIZED = frozenset(
    {
        "bilinear",
        "cdist",
        "einsum",
        "gru",
        "gru_cell",
        "lstm",
        "lstm_cell",
        "rnn_relu",
        "rnn_relu_cell",
        "rnn_tanh",
        "rnn_tanh_cell",
    }
)
"""Functions that multiply activations but cannot be quantized. An `einsum` is here if
`tensor_contraction` cannot write it as matrix products."""

ADDITIONS = frozenset({"add", "add_", "__add__", "__iadd__", "__radd__"})

MULTIPLICATIONS = frozenset({"mul", "mul_", "__mul__", "__imul__", "__rmul__", "multiply"})

CONCATENATIONS = frozenset({"cat", "concat", "concatenate"})

AVERAGE_POOLS = frozenset({"avg_pool2d", "adaptive_avg_pool2d", "mean"})

QUANTIZERS = frozenset({"symmetric_quantize"})

BATCH_NORM, RUNNING_MEAN_PORT = "batch_norm", 3
"""NNCF records `torch.batch_norm`, whose arguments are input, weight, bias, running mean, ..."""

FLATTENING = frozenset({"flatten", "reshape", "view"})

LIKE = frozenset({"expand_as", "reshape_as", "to", "type_as", "view_as"})
"""Functions that read only shape, type or device of all arguments but the first."""

FILLED = frozenset(
    {"empty_like", "full_like", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like"}
)
"""Functions that read only shape, type and device of their arguments."""

MOVES = frozenset(
    {
        "__getitem__",
        "adaptive_max_pool2d",
        "alpha_dropout",
        "channel_shuffle",
        "chunk",
        "clone",
        "contiguous",
        "detach",
        "dropout",
        "dropout2d",
        "expand",
        "feature_dropout",
        "flatten",
        "flip",
        "max_pool1d",
        "max_pool2d",
        "movedim",
        "narrow",
        "native_channel_shuffle",
        "pad",
        "permute",
        "pixel_shuffle",
        "pixel_unshuffle",
        "repeat",
        "reshape",
        "reshape_as",
        "roll",
        "select",
        "split",
        "squeeze",
        "swapaxes",
        "swapdims",
        "t",
        "to",
        "transpose",
        "type",
        "unbind",
        "unflatten",
        "unsqueeze",
        "view",
        "view_as",
        "zero_pad2d",
    }
)
"""Functions that select or move values of their first argument, or insert zeros."""

METADATA = frozenset({"__len__", "element_size", "get_device", "is_contiguous", "numel", "stride"})
"""Functions that read no values of their argument and return no tensor."""

CHANNEL_MOVES = frozenset(
    {
        "alpha_dropout",
        "clone",
        "contiguous",
        "detach",
        "dropout",
        "dropout2d",
        "feature_dropout",
        "flatten",
        "reshape",
        "reshape_as",
        "squeeze",
        "unflatten",
        "unsqueeze",
        "view",
        "view_as",
    }
)
"""Functions that keep all values of their first argument in order, with another shape at most."""

MAX_POOLS = frozenset({"adaptive_max_pool2d", "max_pool1d", "max_pool2d", "max_pool3d"})

PADDING = frozenset({"pad", "zero_pad2d"})

LEAKY_RELUS = frozenset({"leaky_relu", "leaky_relu_"})

RELUS = frozenset({"relu", "relu_"})

PARAMETRIC_RELUS = frozenset({"prelu"})

PER_CHANNEL = frozenset(
    {
        "celu",
        "celu_",
        "elu",
        "elu_",
        "gelu",
        "hardsigmoid",
        "hardsigmoid_",
        "hardswish",
        "hardswish_",
        "interpolate",
        "mish",
        "mish_",
        "selu",
        "selu_",
        "sigmoid",
        "sigmoid_",
        "silu",
        "silu_",
        "softplus",
        "softsign",
        "tanh",
        "tanh_",
        "upsample",
    }
)
"""Functions that compute each channel of their output from the same channel of their input, beside
those that `channel_operation` describes."""

CLAMPS = frozenset({"clamp", "clamp_", "clip", "clip_", "hardtanh", "hardtanh_"})

CLIPPING = RELUS | CLAMPS | {"relu6"}
"""Functions that a quantizer after them can contain."""
