"""What the rules about int8 do not cover: other types, and weights that other operators move.

Each kind is one warning; the error rules skip it. Source of the types: TensorRT developer guide,
"Working with Quantized Types".
"""

from collections.abc import Iterator

from onnx import NodeProto, TensorProto

from targets.graph.topology import QDQ_OPERATORS, Graph, attribute, operator
from targets.lint.finding import Finding, quantizers, warning

UNCHECKED_TYPES = ("INT4", "FLOAT8E4M3FN", "FLOAT4E2M1")
"""Types other than int8 that some versions of TensorRT accept on some GPUs."""

MOVES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")
"""Operators after which weights have the same values in another shape."""


def type_name(kind: int) -> str:
    """Return the name of an element type; its number if this version of onnx has no name."""
    known = TensorProto.DataType.items()
    return next((name for name, value in known if value == kind), str(kind))


def is_checked(graph: Graph, quantizer: NodeProto) -> bool:
    """Return whether the rules about int8 apply to a Q or DQ."""
    return _level_type(graph, quantizer) not in UNCHECKED_TYPES


def checked_quantizers(graph: Graph) -> Iterator[NodeProto]:
    """Yield every QuantizeLinear and DequantizeLinear that the rules about int8 apply to."""
    return (node for node in quantizers(graph) if is_checked(graph, node))


def _level_type(graph: Graph, quantizer: NodeProto) -> str:
    """Return the type of the quantized values, as far as the graph says it."""
    named = attribute(quantizer, "output_dtype", 0)
    zero = quantizer.input[2] if len(quantizer.input) > 2 else ""
    kind = named or graph.types.get(zero, TensorProto.UNDEFINED)
    if kind == TensorProto.UNDEFINED and operator(quantizer) == "DequantizeLinear":
        source = graph.produced_by(quantizer.input[0], "QuantizeLinear")
        if source is not None:
            return _level_type(graph, source)
        kind = graph.types.get(quantizer.input[0], TensorProto.UNDEFINED)
    return type_name(kind)


def moved_by(graph: Graph, tensor: str) -> NodeProto | None:
    """Return the last operator that moves a quantized constant on its way to a tensor, if any."""
    found, quantized = None, False
    while tensor not in graph.constants:
        node = graph.produced_by(tensor, *QDQ_OPERATORS, *MOVES)
        if node is None:
            return None
        if operator(node) in QDQ_OPERATORS:
            quantized = True
        else:
            found = found or node
        tensor = node.input[0]
    return found if quantized else None


def unchecked_types(graph: Graph) -> Iterator[Finding]:
    """Values have a type that the rules about int8 apply to."""
    others: dict[str, list[NodeProto]] = {}
    for node in quantizers(graph):
        if not is_checked(graph, node):
            others.setdefault(_level_type(graph, node), []).append(node)
    for kind, nodes in others.items():
        yield warning(
            nodes[0],
            f"values of type {kind}, which are not checked ({len(nodes)} quantizers)",
            "use int8, or a version of TensorRT and a GPU that accept this type",
        )


def moved_weights(graph: Graph) -> Iterator[Finding]:
    """Quantized weights are stored in the shape that the layer reads."""
    moved = [
        (layer, node)
        for layer in graph.layers()
        if (node := moved_by(graph, layer.input[1])) is not None
    ]
    if moved:
        layer, node = moved[0]
        yield warning(
            layer,
            f"quantized weights that pass through {operator(node)}, which are not checked "
            f"({len(moved)} layers)",
            "store them in the shape that the layer reads",
        )
