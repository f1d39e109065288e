"""Read an ONNX graph from an untrusted file. No other file is read."""

from dataclasses import dataclass
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, inliner, numpy_helper

from base.errors import first_line
from pipeline.teachers.graphs.errors import GraphError
from targets.graph.graph_file import all_tensors

MAX_ONNX_BYTES = 2 << 30
"""Largest size of a protobuf message."""

QUANTIZED = frozenset(
    {
        "ConvInteger",
        "DequantizeLinear",
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "QLinearConv",
        "QLinearMatMul",
        "QuantizeLinear",
    }
)

STANDARD_DOMAINS = ("", "ai.onnx")

REFUSED_TYPES: dict[int, str] = {
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
    TensorProto.DOUBLE: "float64",
}


@dataclass(frozen=True)
class GraphFile:
    """A graph that was read.

    Attributes:
        model: The graph, with functions inlined.
        opset: Version of the operator set.
        input: Name of the input.
        input_type: A value of `TensorProto.DataType`.
        sizes: Size of the input along each axis; None where it is free.
        outputs: Names of the outputs.
    """

    model: ModelProto
    opset: int
    input: str
    input_type: int
    sizes: tuple[int | None, ...]
    outputs: tuple[str, ...]


def read_graph_file(content: bytes) -> GraphFile:
    """Parse and check a graph.

    Raises:
        GraphError: If it is damaged or quantized, has its weights in other files, another type than
            float32, no outputs, or not exactly one input.
    """
    if len(content) >= MAX_ONNX_BYTES:
        raise GraphError(
            f"has {len(content):,} bytes, and an ONNX file must have less than {MAX_ONNX_BYTES:,}; "
            "use the network's state dict as teacher.weights, with teacher.architecture"
        )
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf raises its own types.
        raise GraphError(f"damaged ONNX file ({first_line(error)}); export it again") from None
    _check_tensors(model)
    _check_operators(model)
    for output in model.graph.output:
        # The checker needs a shape, which some exporters leave out. Nothing else reads it.
        output.type.tensor_type.shape.SetInParent()
    try:
        model = inliner.inline_local_functions(model)
        onnx.checker.check_model(model)
    except Exception as error:  # Of several types.
        raise GraphError(f"invalid ONNX graph ({first_line(error)}); export it again") from None
    _check_operators(model)
    opset = max((x.version for x in model.opset_import if x.domain in STANDARD_DOMAINS), default=0)
    if opset < 1:
        raise GraphError("names no version of the standard operators; export it again")
    name, kind, sizes = _input_of(model.graph)
    outputs = tuple(output.name for output in model.graph.output)
    if not outputs:
        raise GraphError("has no outputs, but must have one, the logits; export it again")
    return GraphFile(model, opset, name, kind, sizes, outputs)


def read_tensor(tensor: TensorProto) -> NDArray[Any]:
    """Return the values of a tensor.

    Raises:
        GraphError: If they cannot be read.
    """
    try:
        return numpy_helper.to_array(tensor)
    except Exception as error:  # Of several types.
        raise GraphError(
            f"tensor {tensor.name[:80]} cannot be read ({first_line(error)}); export it again"
        ) from None


def likely_logits(graph: GraphProto) -> str:
    """Return the name of the output that is likeliest the logits.

    It is the first one of shape (N, classes) and floating-point type, as far as both are known.
    """

    def rank(output: ValueInfoProto) -> tuple[bool, bool]:
        kind = output.type.tensor_type
        return kind.elem_type == TensorProto.FLOAT, len(kind.shape.dim) == 2

    return str(max(graph.output, key=rank).name)


def keep_only(graph: GraphProto, output: str) -> None:
    """Remove from a graph all other outputs, and the nodes that this one does not depend on.

    They may have operators that cannot be converted, such as an ArgMax of the logits.
    """
    needed, kept = {output}, []
    for node in reversed(graph.node):
        if not needed.isdisjoint(name for name in node.output if name):
            kept.append(node)
            needed.update(node.input)
    chosen = [value for value in graph.output if value.name == output]
    del graph.node[:], graph.output[:]
    graph.node.extend(reversed(kept))
    graph.output.extend(chosen)


def _check_tensors(model: ModelProto) -> None:
    """Raise GraphError for a tensor that is stored elsewhere, or has a refused type."""
    if model.graph.sparse_initializer:
        raise GraphError("has sparse weights; export it with dense ones")
    for tensor in all_tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise GraphError(
                "its weights are in another file; save it with the weights inside, with "
                "onnx.save(onnx.load('model.onnx'), 'teacher.onnx')"
            )
        _require_known_type(tensor.data_type, f"tensor {tensor.name[:80]}")
        if tensor.data_type in REFUSED_TYPES and len(tensor.dims) > 0:
            raise GraphError(
                f"its weights are in {REFUSED_TYPES[tensor.data_type]}; export it in float32"
            )


def _require_known_type(kind: int, what: str) -> None:
    if kind not in TensorProto.DataType.values():
        raise GraphError(f"{what} has the type {kind}, which ONNX does not define; export it again")


def _check_operators(model: ModelProto) -> None:
    """Raise GraphError for an operator of a quantized graph or of another domain."""
    functions = {(function.domain, function.name) for function in model.functions}
    for node in model.graph.node:
        if node.op_type in QUANTIZED:
            raise GraphError(
                f"operator {node.op_type}: the graph is quantized; export the network in float32"
            )
        inlined = (node.domain, node.op_type) in functions
        if node.domain not in STANDARD_DOMAINS and not inlined:
            raise GraphError(
                f"operator {node.domain}.{node.op_type} is not a standard operator; use the graph "
                "as it was before it was optimized for one runtime"
            )


def _input_of(graph: GraphProto) -> tuple[str, int, tuple[int | None, ...]]:
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in stored]
    if len(inputs) != 1:
        names = ", ".join(value.name for value in inputs)[:200] or "none"
        raise GraphError(
            f"has {len(inputs)} inputs ({names}), but must have one, the images; export the "
            "network with images as its only input"
        )
    kind = inputs[0].type.tensor_type
    _require_known_type(kind.elem_type, f"its input {inputs[0].name[:80]}")
    sizes = tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None
        for dim in kind.shape.dim
    )
    return inputs[0].name, kind.elem_type, sizes
