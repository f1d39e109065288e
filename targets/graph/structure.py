"""Check that a model is a graph: operators have operands, every tensor has one source, no cycle."""

from collections.abc import Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter

import onnx
from onnx import ModelProto, NodeProto
from onnx.defs import OpSchema

from targets.graph.flattening import flatten
from targets.graph.topology import node_name, operator


def check_structure(model: ModelProto) -> None:
    """Check a model that other people wrote, with its functions and inner graphs.

    Nodes may be in any order. Operators of other domains may have any operands.

    Raises:
        ValueError: If a node lacks a required input or output or has an attribute of a wrong type,
            if a tensor has no source or several, or if nodes form a cycle.
    """
    flat = flatten(model)
    for node in flat.graph.node:
        _check_operands(node)
        _check_attributes(node)
    _check_sources(flat)


def _check_operands(node: NodeProto) -> None:
    inputs, outputs = _required_operands().get(operator(node), (0, 0))
    for kind, count, names in (("input", inputs, node.input), ("output", outputs, node.output)):
        if len([name for name in names[:count] if name]) < count:
            raise _malformed(f"{node.op_type} without its {count} {kind}s", node_name(node))


def _check_attributes(node: NodeProto) -> None:
    types = _attribute_types().get(operator(node), {})
    for attribute in node.attribute:
        if attribute.type not in types.get(attribute.name, (attribute.type,)):
            raise _malformed(
                f"attribute {attribute.name!r} of {node.op_type} has a wrong type", node_name(node)
            )


def _check_sources(flat: ModelProto) -> None:
    graph = flat.graph
    stored = {tensor.name for tensor in graph.initializer}
    stored |= {sparse.values.name for sparse in graph.sparse_initializer}
    stored |= {value.name for value in graph.input}
    producer: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in filter(None, node.output):
            if name in stored or name in producer:
                raise _malformed("a tensor has several sources", name)
            producer[name] = index
    used = [name for node in graph.node for name in node.input if name]
    for name in (*used, *(value.name for value in graph.output)):
        if name not in stored and name not in producer:
            raise _malformed("a tensor has no source", name)
    dependencies = {
        index: {producer[name] for name in node.input if name in producer}
        for index, node in enumerate(graph.node)
    }
    try:
        TopologicalSorter(dependencies).prepare()
    except CycleError as error:
        raise _malformed("nodes form a cycle", node_name(graph.node[error.args[1][0]])) from None


def _malformed(problem: str, where: str) -> ValueError:
    return ValueError(f"malformed graph: {problem}: {where!r}; export the graph again")


@cache
def _schemas() -> list[OpSchema]:
    """Return ONNX's operators in all versions: a function may use another one than its model."""
    return [s for s in onnx.defs.get_all_schemas_with_history() if not s.domain]


@cache
def _required_operands() -> dict[str, tuple[int, int]]:
    """Return how many first inputs and outputs an operator needs in every version."""
    required: dict[str, tuple[int, int]] = {}
    for schema in _schemas():
        inputs, outputs = _leading_single(schema.inputs), _leading_single(schema.outputs)
        before = required.get(schema.name, (inputs, outputs))
        required[schema.name] = (min(before[0], inputs), min(before[1], outputs))
    return required


def _leading_single(operands: Sequence[OpSchema.FormalParameter]) -> int:
    single = [o.option == OpSchema.FormalParameterOption.Single for o in operands]
    return [*single, False].index(False)


@cache
def _attribute_types() -> dict[str, dict[str, set[int]]]:
    """Return the types that an attribute has in some version, by operator and name."""
    types: dict[str, dict[str, set[int]]] = {}
    for schema in _schemas():
        known = types.setdefault(schema.name, {})
        for name, attribute in schema.attributes.items():
            # onnx's type stub does not say that this is an enum.
            known.setdefault(name, set()).add(attribute.type.value)  # type: ignore[attr-defined]
    return types
