"""The parts of a network's function graph that quantization works on."""

from dataclasses import dataclass

from torch import Tensor, nn

LAYER_TYPES = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, nn.modules.conv._ConvTransposeNd)
"""Module types of layers. Only the function graph shows which layers a network really calls."""


@dataclass(frozen=True)
class Source:
    """The origin of a tensor: an output of an operation, the images, or a parameter.

    Attributes:
        operation: NNCF's name of the operation.
        port: Index of the output.
    """

    operation: str
    port: int


@dataclass(frozen=True)
class Use:
    """One argument of an operation: the place where it reads a tensor.

    Attributes:
        operation: NNCF's name of the operation.
        port: Index of the argument.
        source: Origin of the tensor, before it was reshaped, moved or quantized.
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
        weight: The weight's parameter name; None for a product or a computed weight.
        weight_shape: Shape of the weight; None for a product.
        bias: The bias's parameter name; None if it has none.
        channel_axis: Axis of the output channels in the weight.
        groups: Groups of a convolution.
        multiply_adds: Multiply-adds of all calls, for one image.
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
class FloatFunction:
    """A call that multiplies activations but cannot be quantized, such as a recurrent layer.

    Attributes:
        name: Path of the module that has its weights, or of the module that calls it, the function
            and the call's number.
        function: The torch function, such as `lstm`.
        multiply_adds: Approximate multiply-adds, for one image.
    """

    name: str
    function: str
    multiply_adds: int


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
        layer: The layer that it can be folded into, or None.
    """

    operation: str
    running_mean: str
    layer: Layer | None


@dataclass(frozen=True)
class ChannelStatistics:
    """Mean and standard deviation of each channel of a tensor, over images and positions.

    Attributes:
        mean: (channels,) in float64.
        deviation: (channels,) in float64 if the values are normally distributed, as behind a batch
            norm; else None.
    """

    mean: Tensor
    deviation: Tensor | None
