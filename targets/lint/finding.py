"""The result of a lint rule."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from onnx import NodeProto

from targets.graph.topology import QDQ_OPERATORS, Graph, node_name, operator


@dataclass(frozen=True)
class Finding:
    """One problem in a graph.

    Attributes:
        severity: "error" if TensorRT refuses the graph, "warning" if the engine will be slower or
            needs a plugin.
        node: The node's name, or its output's if it has none.
        problem: What is wrong.
        remedy: How to fix it.
    """

    severity: Literal["error", "warning"]
    node: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        """Return the finding as one line."""
        return f"{self.severity}: {self.problem}: {self.node}; {self.remedy}"


def error(node: NodeProto, problem: str, remedy: str) -> Finding:
    """Return a finding that makes TensorRT refuse the graph."""
    return Finding("error", node_name(node), problem, remedy)


def warning(node: NodeProto, problem: str, remedy: str) -> Finding:
    """Return a finding that makes the engine slower, or one about a plugin."""
    return Finding("warning", node_name(node), problem, remedy)


def quantizers(graph: Graph) -> Iterator[NodeProto]:
    """Yield every QuantizeLinear and DequantizeLinear."""
    return (node for node in graph.nodes if operator(node) in QDQ_OPERATORS)
