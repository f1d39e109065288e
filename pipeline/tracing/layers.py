"""The parts of a network's function graph that quantization works on."""

from dataclasses import dataclass

from torch import nn

LAYER_TYPES = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.modules.conv._ConvTransposeNd)
"""Modules that usually call a layer. What a network calls is known from its function graph only."""


@dataclass(frozen=True)
class Source:
    """A tensor where it is made: an output of an operation, the images, or a parameter.

    Attributes:
        operation: NNCF's name of the operation.
        port: Which of its outputs.
    """

    operation: str
    port: int


@dataclass(frozen=True)
class Use:
    """A tensor where an operation reads it.

    Attributes:
        operation: NNCF's name of the operation.
        port: Which of its arguments.
        source: The tensor, before it was reshaped, moved or quantized.
    """

    operation: str
    port: int
    source: Source


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        inputs: The activations that it multiplies: one, or two for a product of activations.
        weight: Where it reads its weight; None for a product of activations.
        output: The tensor that it makes.
    """

    inputs: tuple[Use, ...]
    weight: Use | None
    output: Source


@dataclass(frozen=True)
class Layer:
    """A convolution, transposed convolution, linear layer or product of two activations.

    Attributes:
        name: Its weight's parameter name without `.weight`; for a product of activations the path
            of the module that computes it, the function, and the call's number.
        function: The torch function, such as `conv2d`.
        calls: Its calls in one forward pass, in order.
        weight: The weight's parameter name; None for a product or a weight that is computed.
        weight_shape: None for a product.
        bias: The bias's parameter name; None if it has none.
        channel_axis: Axis of the output channels in the weight.
        groups: Groups of a convolution.
        multiply_adds: Of all calls, for one image.
    """

    name: str
    function: str
    calls: tuple[Call, ...]
    weight: str | None
    weight_shape: tuple[int, ...] | None
    bias: str | None
    channel_axis: int
    groups: int
    multiply_adds: int

    @property
    def is_product(self) -> bool:
        """Whether both factors are activations."""
        return len(self.calls[0].inputs) == 2

    @property
    def is_transposed(self) -> bool:
        """Whether it is a transposed convolution."""
        return self.function.startswith("conv_transpose")


@dataclass(frozen=True)
class Addition:
    """A sum of two feature maps of equal shape.

    Attributes:
        inputs: Its two terms.
        adds_convolution: Whether a term is the output of a convolution.
    """

    inputs: tuple[Use, Use]
    adds_convolution: bool


@dataclass(frozen=True)
class Norm:
    """One call of a batch norm with stored statistics.

    Attributes:
        operation: NNCF's name of the call.
        running_mean: The buffer's name. It identifies the batch norm.
        layer: The layer whose output it normalises, if it can be folded into that layer.
    """

    operation: str
    running_mean: str
    layer: Layer | None
