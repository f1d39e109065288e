"""Decide which tensors of a network are quantized, and with how many bits."""

from dataclasses import dataclass

from pipeline.quantization.scheme import Scheme
from pipeline.tracing.function_graph import FunctionGraph
from pipeline.tracing.layers import Layer, Source, Use


@dataclass(frozen=True)
class QuantizedActivation:
    """A tensor with one fake-quantizer.

    Attributes:
        source: The tensor.
        uses: The arguments of layers and additions that read the quantized tensor.
        at_source: Whether it is quantized right after the operation that computes it, so that every
            reader gets the quantized values. Otherwise only `uses` get them.
        bits: Bits of the quantizer.
    """

    source: Source
    uses: tuple[Use, ...]
    at_source: bool
    bits: int


@dataclass(frozen=True)
class QuantizedWeight:
    """A layer whose weight has a fake-quantizer.

    Attributes:
        layer: The layer.
        axis: The axis of the weight along which each index has its own scale. For a transposed
            convolution TensorRT requires axis 0, the input channels.
        bits: Bits of the quantizer.
    """

    layer: Layer
    axis: int
    bits: int


@dataclass(frozen=True)
class Placement:
    """The fake-quantizers of a network."""

    activations: tuple[QuantizedActivation, ...]
    weights: tuple[QuantizedWeight, ...]


def place(graph: FunctionGraph, scheme: Scheme) -> Placement:
    """Place a quantizer at every input and weight of the layers that do not stay in float.

    At 8 bits, ONNX Runtime needs more quantizers to compute in int8. The output of each convolution
    is quantized, after its ReLU if it has one. If a term of an addition is the output of a
    convolution, both terms are quantized.
    """
    weighted = [layer for layer in graph.layers if not layer.is_product]
    edges = {layer.name for layer in (weighted[0], weighted[-1])} if weighted else set()
    layers = [layer for layer in graph.layers if not scheme.keeps_in_float(layer.name)]
    uses: dict[Source, list[Use]] = {}
    bits: dict[Source, int] = {}
    outputs: set[Source] = set()
    for layer in layers:
        for use in (use for call in layer.calls for use in call.inputs):
            uses.setdefault(use.source, []).append(use)
            wanted = _activation_bits(graph, scheme, use, is_edge=layer.name in edges)
            bits[use.source] = max(bits.get(use.source, 0), wanted)
    if scheme.activation_bits == 8:
        for addition in graph.additions:
            for use in addition.inputs if addition.adds_convolution else ():
                uses.setdefault(use.source, []).append(use)
                bits[use.source] = 8
        for source in _outputs(graph, layers):
            uses.setdefault(source, [])
            bits[source] = 8
            outputs.add(source)
    return Placement(
        tuple(
            QuantizedActivation(
                source,
                tuple(found),
                source in outputs or _at_source(graph, scheme, source, found),
                bits[source],
            )
            for source, found in uses.items()
        ),
        tuple(
            QuantizedWeight(
                layer,
                0 if layer.is_transposed else layer.channel_axis,
                scheme.edge_bits
                if scheme.edge_bits and layer.name in edges
                else scheme.weight_bits,
            )
            for layer in layers
            if not layer.is_product
        ),
    )


def _outputs(graph: FunctionGraph, layers: list[Layer]) -> list[Source]:
    """Return the outputs of the convolutions among these layers, after their ReLUs."""
    made = {call.output for layer in layers for call in layer.calls}
    return [after for output, after in graph.convolution_outputs.items() if output in made]


def _activation_bits(graph: FunctionGraph, scheme: Scheme, use: Use, *, is_edge: bool) -> int:
    if scheme.edge_bits and is_edge:
        return scheme.edge_bits
    return 8 if graph.trace.is_image(use.source) else scheme.activation_bits


def _at_source(graph: FunctionGraph, scheme: Scheme, source: Source, uses: list[Use]) -> bool:
    if scheme.activation_bits < 8:
        return True
    return graph.trace.is_read_only_by(source, {(use.operation, use.port) for use in uses})
