"""Where the output and input channels of a layer are in its weight.

The weight of a convolution or linear layer is (outputs, inputs / groups, ...), that of a transposed
convolution (inputs, outputs / groups, ...). A group is a contiguous range of inputs and outputs.
"""

from torch import Tensor

from pipeline.tracing.layers import Layer


def along_outputs(values: Tensor, layer: Layer) -> Tensor:
    """Return one value per output channel in a shape that broadcasts against the weight.

    Args:
        values: (outputs,).
        layer: A convolution, transposed convolution or linear layer.
    """
    if layer.is_transposed:
        return _along_grouped_axis(values, layer)
    return values.view(-1, *[1] * (_axes(layer) - 1))


def along_inputs(values: Tensor, layer: Layer) -> Tensor:
    """Return one value per input channel in a shape that broadcasts against the weight.

    Args:
        values: (inputs,).
        layer: A convolution, transposed convolution or linear layer.
    """
    if layer.is_transposed:
        return values.view(-1, *[1] * (_axes(layer) - 1))
    return _along_grouped_axis(values, layer)


def output_ranges(weight: Tensor, layer: Layer) -> Tensor:
    """Return the largest absolute weight of each output channel, (outputs,)."""
    return (
        _grouped_axis_ranges(weight, layer) if layer.is_transposed else _first_axis_ranges(weight)
    )


def input_ranges(weight: Tensor, layer: Layer) -> Tensor:
    """Return the largest absolute weight of each input channel, (inputs,)."""
    return (
        _first_axis_ranges(weight) if layer.is_transposed else _grouped_axis_ranges(weight, layer)
    )


def input_count(layer: Layer) -> int:
    """Return the number of a layer's input channels."""
    assert layer.weight_shape is not None
    return layer.weight_shape[0] if layer.is_transposed else layer.weight_shape[1] * layer.groups


def _axes(layer: Layer) -> int:
    assert layer.weight_shape is not None
    return len(layer.weight_shape)


def _along_grouped_axis(values: Tensor, layer: Layer) -> Tensor:
    """Return the values in a shape that broadcasts against the weight.

    Axis 1 of the weight has the channels of one group. Each group is a range of axis 0.
    """
    assert layer.weight_shape is not None
    first, second = layer.weight_shape[:2]
    by_group = values.view(layer.groups, 1, second).expand(-1, first // layer.groups, -1)
    return by_group.reshape(first, second, *[1] * (_axes(layer) - 2))


def _first_axis_ranges(weight: Tensor) -> Tensor:
    return weight.abs().flatten(1).amax(1)


def _grouped_axis_ranges(weight: Tensor, layer: Layer) -> Tensor:
    first, second = weight.shape[:2]
    by_group = weight.abs().reshape(layer.groups, first // layer.groups, second, -1)
    return by_group.amax((1, 3)).flatten()
