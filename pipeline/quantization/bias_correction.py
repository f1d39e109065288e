"""Correct the bias of layers for the error of their quantized weights, without data.

Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, ICCV
2019, section 4.2 and equation 17. Quantized weights shift the mean of a layer's output. The shift
is the error of the weights times the expected input. It is subtracted from the bias:

    b - sum over inputs i and kernel positions k of (W_q - W)[o, i, k] E[x_i]

The expected input comes from batch-norm statistics (`ChannelMoments`). As in the paper, zeros at
the border of a padded image are ignored.
"""

import torch
from torch import Tensor

from pipeline.quantization.channel_moments import ChannelMoments
from pipeline.quantization.fake_quantizers import quantizer_at
from pipeline.tracing.channel_paths import has_own_parameters
from pipeline.tracing.channel_weights import along_inputs, input_count
from pipeline.tracing.fixed_form import FixedForm
from pipeline.tracing.function_graph import FunctionGraph
from pipeline.tracing.layers import Layer
from pipeline.tracing.trace import made_by


@torch.no_grad()
def correct_biases(network: FixedForm, example: Tensor) -> int:
    """Correct the bias of every layer whose expected input is known, in place.

    Four kinds of layers are not changed: layers without a bias, layers that share parameters,
    layers that are called several times, and transposed convolutions, where each output position
    uses only a part of the kernel.

    Args:
        network: A network with fake-quantizers.
        example: (N, C, H, W) images; only their shape matters.

    Returns:
        The number of corrected layers.
    """
    graph = FunctionGraph(network, example)
    moments, corrected = ChannelMoments(network, graph), 0
    for layer in graph.layers:
        if layer.bias is None or layer.is_transposed:
            continue
        if not has_own_parameters(network, graph, layer):
            continue
        error = _weight_error(network, layer)
        expected = _expected_input(graph, moments, layer)
        if error is None or expected is None:
            continue
        shift = (error * along_inputs(expected.to(error), layer)).flatten(1).sum(1)
        bias = network.get_tensor(layer.bias)
        bias.copy_(bias.double() - shift)
        corrected += 1
    return corrected


def _weight_error(network: FixedForm, layer: Layer) -> Tensor | None:
    """Return the quantized weight minus the weight in float64, or None if it is not quantized."""
    use = layer.calls[0].weight
    assert use is not None and layer.weight is not None
    quantizer = quantizer_at(network, use)
    if quantizer is None:
        return None
    weight = network.get_tensor(layer.weight)
    quantized: Tensor = quantizer(weight)
    return quantized.double() - weight.double()


def _expected_input(graph: FunctionGraph, moments: ChannelMoments, layer: Layer) -> Tensor | None:
    """Return the expected value of each input channel, (inputs,), or None if it is unknown."""
    edge = graph.trace.inputs[layer.calls[0].output.operation][0]
    if len(edge.tensor_shape) != len(layer.weight_shape or ()):
        return None
    known = moments.of(made_by(edge))
    if known is None or len(known.mean) != input_count(layer):
        return None
    return known.mean
