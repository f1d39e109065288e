"""Checks a Q/DQ graph against what TensorRT accepts and fuses, before any device is touched.

Each finding names the node, the rule and the remedy.
"""

from pathlib import Path

from onnx import ModelProto

from targets.graph.graph_file import read_graph
from targets.graph.topology import Graph
from targets.lint import refused, slower
from targets.lint.finding import Finding

__all__ = ["Finding", "errors", "lint", "lint_model", "told"]


def lint(path: Path) -> list[Finding]:
    """Check an ONNX file.

    Raises:
        OSError: When it cannot be read.
        ValueError: When it is no ONNX file.
    """
    return lint_model(read_graph(path))


def lint_model(model: ModelProto) -> list[Finding]:
    """Check a graph that is already loaded; errors first."""
    graph = Graph(model)
    found = [finding for rule in (*refused.RULES, *slower.RULES) for finding in rule(graph)]
    return sorted(found, key=lambda finding: finding.severity)


def errors(findings: list[Finding]) -> list[Finding]:
    """Those that a device would refuse."""
    return [finding for finding in findings if finding.severity == "error"]


def told(path: Path) -> tuple[list[str], bool]:
    """What people read of a file's findings, a line each and one that counts them.

    Returns:
        The lines, and whether TensorRT would refuse the graph.

    Raises:
        OSError: When it cannot be read.
        ValueError: When it is no ONNX file.
    """
    findings = lint(path)
    refused = len(errors(findings))
    count = f"{path}: {refused} errors, {len(findings) - refused} warnings"
    return [*map(str, findings), count], refused > 0
