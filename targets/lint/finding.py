"""What a rule finds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from onnx import NodeProto

from targets.graph.topology import QDQ_OPERATORS, Graph, node_name


@dataclass(frozen=True)
class Finding:
    """One breach of a rule.

    Attributes:
        severity: "error" (TensorRT refuses it) or "warning" (it will be slower).
        node: The node's name, or its output where it has none.
        rule: What is asked for.
        remedy: What to do about it.
    """

    severity: Literal["error", "warning"]
    node: str
    rule: str
    remedy: str

    def __str__(self) -> str:
        """One line."""
        return f'{self.severity}: {self.node}: against "{self.rule}"; {self.remedy}'


def error(node: NodeProto, rule: str, remedy: str) -> Finding:
    """TensorRT refuses it."""
    return Finding("error", node_name(node), rule, remedy)


def warning(node: NodeProto, rule: str, remedy: str) -> Finding:
    """The engine will be slower."""
    return Finding("warning", node_name(node), rule, remedy)


def quantizers(graph: Graph) -> Iterator[NodeProto]:
    """Every QuantizeLinear and DequantizeLinear."""
    return (node for node in graph.nodes if node.op_type in QDQ_OPERATORS)
