"""Run every lint rule over an ONNX graph."""

from pathlib import Path

from onnx import ModelProto

from targets.graph.flattening import flatten
from targets.graph.graph_file import read_graph
from targets.graph.topology import Graph
from targets.lint.error_rules import ERROR_RULES
from targets.lint.finding import Finding
from targets.lint.warning_rules import WARNING_RULES


def lint(path: Path) -> list[Finding]:
    """Check an ONNX file.

    Args:
        path: The graph.

    Returns:
        The findings, errors first.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not an ONNX file or malformed.
    """
    model = read_graph(path)
    try:
        return lint_model(model)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def lint_model(model: ModelProto) -> list[Finding]:
    """Check a graph in memory, with its functions and inner graphs; return errors first."""
    graph = Graph(flatten(model))
    findings = [finding for rule in (*ERROR_RULES, *WARNING_RULES) for finding in rule(graph)]
    return sorted(findings, key=lambda finding: finding.severity)


def errors(findings: list[Finding]) -> list[Finding]:
    """Return the findings that make TensorRT refuse the graph."""
    return [finding for finding in findings if finding.severity == "error"]


def lint_report(path: Path) -> tuple[list[str], bool]:
    """Check an ONNX file and format the findings for people.

    Args:
        path: The graph.

    Returns:
        One line for each finding and a last line with their counts, and whether TensorRT would
        refuse the graph.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not an ONNX file or malformed.
    """
    findings = lint(path)
    refused = len(errors(findings))
    count = f"{path}: {refused} errors, {len(findings) - refused} warnings"
    return [*map(str, findings), count], refused > 0
