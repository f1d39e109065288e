"""Describe an ONNX graph without converting it."""

from collections import Counter
from dataclasses import dataclass

from onnx import TensorProto, shape_inference

from base.errors import InputError, first_line
from pipeline.teachers.graphs.errors import GraphError
from pipeline.teachers.graphs.graph_file import GraphFile, likely_logits, read_graph_file
from pipeline.teachers.graphs.input_layout import Layout, moves_channels_first
from pipeline.teachers.graphs.normalization import largest_value, normalizing_operators


@dataclass(frozen=True)
class GraphDescription:
    """What an ONNX file contains.

    Attributes:
        opset: Version of the operator set.
        input: Name of the input.
        input_type: Its type, such as float32.
        input_sizes: Its size along each axis; None where it is free.
        layout: Order of its axes; None if the sizes do not show it.
        largest_value: Largest value of an image that type and normalization suggest: 1 or 255.
        normalizes: Operators that scale or shift the input by constants.
        outputs: Size along each axis of each output, by name.
        logits: Name of the output that is likeliest the logits.
        operators: Number of nodes of each operator.
        batch_norms: Number of batch norms.
    """

    opset: int
    input: str
    input_type: str
    input_sizes: tuple[int | None, ...]
    layout: Layout | None
    largest_value: int
    normalizes: tuple[str, ...]
    outputs: dict[str, tuple[int | None, ...]]
    logits: str
    operators: dict[str, int]
    batch_norms: int


def describe_graph(content: bytes, url: str) -> GraphDescription:
    """Return what an ONNX file contains.

    Args:
        content: The bytes of the file.
        url: The file, for error messages.

    Raises:
        InputError: If the graph cannot be a teacher.
    """
    try:
        file = read_graph_file(content)
        top = largest_value(file)
    except GraphError as error:
        raise InputError(f"teacher {url}: {error}") from None
    for output in file.model.graph.output:
        output.ClearField("type")  # It is inferred: some exporters leave it out.
    try:
        graph = shape_inference.infer_shapes(file.model).graph
    except Exception as error:  # Of several types.
        raise InputError(
            f"teacher {url}: invalid ONNX graph ({first_line(error)}); export it again"
        ) from None
    operators = Counter(node.op_type for node in graph.node)
    kind = TensorProto.DataType.Name(file.input_type).lower()
    return GraphDescription(
        opset=file.opset,
        input=file.input,
        input_type={"float": "float32"}.get(kind, kind),
        input_sizes=file.sizes,
        layout=_layout(file),
        largest_value=top,
        normalizes=normalizing_operators(file),
        outputs={
            value.name: tuple(
                dim.dim_value if dim.HasField("dim_value") else None
                for dim in value.type.tensor_type.shape.dim
            )
            for value in graph.output
        },
        logits=likely_logits(graph),
        operators=dict(sorted(operators.items())),
        batch_norms=operators["BatchNormalization"],
    )


def _layout(file: GraphFile) -> Layout | None:
    sizes = file.sizes
    if len(sizes) != 4:
        layouts: dict[int, Layout] = {2: "flat", 3: "NHW"}
        return layouts.get(len(sizes))
    is_last = moves_channels_first(file) or (
        sizes[3] in (1, 3, 4) and sizes[1] not in (1, 3, 4, None)
    )
    return "NHWC" if is_last else "NCHW"
