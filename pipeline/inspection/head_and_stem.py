"""Guess the number of classes and of input channels from the shapes in a state dict.

The order of the tensors is no help: safetensors files are sorted.
"""

import re
from collections import Counter
from collections.abc import Mapping

from torch import Tensor

HEAD = re.compile(r"(?:^|\.)(?:fc|f7|classifier|heads?|logits|linear|last_linear|output)\b")
"""Usual names of the last layer or of the module that holds it."""

STEM = re.compile(r"(?:^|\.)(?:conv1|conv0|conv_stem|stem|patch_embed|conv_proj|c1|features\.0)\b")
"""Usual names of the first layer or of the module that holds it."""

MAX_CHANNELS = 16
"""Images have at most this many channels."""


def head_of(state: Mapping[str, Tensor]) -> str | None:
    """Return the name of the last layer's weight, or None if there is no such layer.

    It is a linear layer, or a convolution of kernel 1, whose outputs no other layer takes.
    """
    weights = {name: tensor for name, tensor in state.items() if tensor.dim() >= 2}
    taken = {tensor.shape[1] for tensor in weights.values()}
    normalised = {
        state[name].numel() for name in state if name.endswith((".running_mean", ".running_var"))
    }
    free = [
        name
        for name, tensor in weights.items()
        if name.rpartition(".")[2] == "weight"
        and (tensor.dim() == 2 or (tensor.dim() == 4 and tensor.shape[2:].numel() == 1))
        and tensor.shape[0] > 1
        and tensor.shape[0] not in taken | normalised
    ]
    # A layer that occurs often with the same number of outputs is a part of a block.
    often = Counter(weights[name].shape[0] for name in free)
    return max(
        free,
        key=lambda name: (bool(HEAD.search(name)), -often[weights[name].shape[0]], name),
        default=None,
    )


def channels_of(state: Mapping[str, Tensor]) -> int | None:
    """Return the number of channels of the images, or None if it cannot be seen."""
    convolutions = {
        name: tensor.shape[1]
        for name, tensor in state.items()
        if tensor.dim() == 4 and tensor.shape[1] <= MAX_CHANNELS
    }
    stems = [name for name in convolutions if STEM.search(name)]
    # Depthwise convolutions have one input channel too, so three channels are more certain.
    best = sorted(convolutions, key=lambda n: (n not in stems, convolutions[n] != 3, len(n), n))
    return convolutions[best[0]] if best else None
