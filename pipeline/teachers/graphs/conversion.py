"""Convert an ONNX graph to a torch network with gradients and a free batch size."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from onnx import NodeProto

from base.errors import first_line
from dfkd.images import ImageSpec
from pipeline.teachers.graphs.builder import GraphBuilder
from pipeline.teachers.graphs.errors import GraphError
from pipeline.teachers.graphs.folding import fold
from pipeline.teachers.graphs.graph_file import GraphFile, read_tensor
from pipeline.teachers.graphs.input_layout import GraphInput
from pipeline.teachers.graphs.network import GraphNetwork
from pipeline.teachers.graphs.node import Node
from pipeline.teachers.graphs.operators.table import OPERATORS
from pipeline.teachers.graphs.values import Sequence, Static, Traced, Value


@dataclass(frozen=True)
class Conversion:
    """A converted graph.

    Attributes:
        network: The network, in eval mode.
        values: Name in the network of each value of the graph that depends on the images, with the
            node that makes it, in order.
    """

    network: GraphNetwork
    values: dict[str, tuple[str, NodeProto]]


def convert(file: GraphFile, given: GraphInput, spec: ImageSpec, output: str) -> Conversion:
    """Convert a graph.

    Args:
        file: The graph.
        given: How it takes its images.
        spec: The images.
        output: Name of the value that the network returns.

    Raises:
        GraphError: If an operator is unknown, or is used in a way that cannot be converted. The
            message names the operator.
    """
    graph = file.model.graph
    _refuse_subgraphs(graph.node)
    builder = GraphBuilder(spec.shape, given.batch)
    values: dict[str, Value] = {
        tensor.name: Static((array, array), tensor.name)
        for tensor in graph.initializer
        for array in (read_tensor(tensor),)
    }
    values[file.input] = given.add_to(builder)
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(value.name for value in graph.output)
    made: dict[str, tuple[str, NodeProto]] = {}
    for proto in graph.node:
        builder.node = proto.name or proto.op_type
        inputs = [values[name] if name else None for name in proto.input]
        try:
            found = _outputs(Node(proto, inputs, file.opset, builder, given.batch, readers))
        except GraphError as error:
            raise GraphError(f"operator {_described(proto)}: {error}") from None
        except Exception as error:  # A malformed node can make numpy or torch raise any type.
            raise GraphError(
                f"operator {_described(proto)}: cannot be converted ({first_line(error)}); export "
                "the graph again"
            ) from None
        for name, value in zip(proto.output, found, strict=False):
            values[name] = value
            if isinstance(value, Traced):
                made[name] = value.name, proto
    result = values[output]
    if not isinstance(result, Traced):
        raise GraphError(f"its output {output} does not depend on the images; export it again")
    if output not in made:
        raise GraphError(f"its output {output} does not depend on an operator; export it again")
    kind = result.examples[0].dtype
    if not kind.is_floating_point:
        raise GraphError(
            f"its output {output} has the type {str(kind).removeprefix('torch.')}, but logits are "
            "floating-point numbers; export it with the logits as output"
        )
    builder.network.set_steps(builder.steps, result.name)
    return Conversion(builder.network, made)


def _refuse_subgraphs(nodes: Iterable[NodeProto]) -> None:
    """Raise GraphError for a branch or a loop."""
    for node in nodes:
        if any(attribute.HasField("g") for attribute in node.attribute):
            raise GraphError(
                f"operator {node.op_type}: graphs with branches or loops are not supported; export "
                "the network without them"
            )


def _outputs(node: Node) -> Iterable[Value]:
    """Return the outputs of a node."""
    proto = node.proto
    if not any(isinstance(value, Traced | Sequence) for value in node.inputs):
        statics = [value if isinstance(value, Static) else None for value in node.inputs]
        return fold(proto, statics, node.opset)
    if proto.op_type not in OPERATORS:
        raise GraphError(
            "is not supported; replace it in the network and export again, or use the network's "
            "state dict with teacher.architecture"
        )
    found = OPERATORS[proto.op_type](node)
    return found if isinstance(found, list) else [found]


def _described(node: NodeProto) -> str:
    return f"{node.op_type} (node {node.name[:80]})" if node.name else node.op_type
