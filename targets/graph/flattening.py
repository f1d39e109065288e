"""Flatten a model: nodes of functions, branches and loops become nodes of the main graph."""

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto

MAX_NODES = 1 << 18
MAX_BYTES = 2 << 30
"""Largest flat model. Functions that call functions can describe one of any size."""
MAX_DEPTH = 64
"""Deepest nesting of functions and graphs. A function that calls itself has no end."""


def flatten(model: ModelProto) -> ModelProto:
    """Return a model with all nodes in its main graph, for look-ups and not for execution.

    Names of the main graph stay. A tensor of another graph gets a number if its name is taken. A
    node with inner graphs reads their outputs, so that every dependency is an input.

    Args:
        model: It is returned as it is if its main graph contains all nodes.

    Raises:
        ValueError: If functions or graphs are nested too deep, or if the flat model is too large.
    """
    if not model.functions and not any(
        inner for node in model.graph.node for inner in _inner_graphs(node.attribute)
    ):
        return model
    flattening = _Flattening(model)
    flattening.add_graph(model.graph, _Scope(ChainMap(), {}, "", 0))
    return flattening.flat


def _inner_graphs(attributes: Iterable[AttributeProto]) -> list[GraphProto]:
    return [
        inner
        for attribute in attributes
        for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs)
    ]


@dataclass(frozen=True)
class _Scope:
    """What a graph or function sees.

    Attributes:
        names: Names in the flat model, by the names of the file.
        attributes: Values of a function's attributes.
        prefix: Of the names of nodes.
        depth: Number of graphs and functions around it.
    """

    names: ChainMap[str, str]
    attributes: Mapping[str, AttributeProto]
    prefix: str
    depth: int


class _Flattening:
    def __init__(self, model: ModelProto) -> None:
        self.functions = {(f.domain, f.name, f.overload): f for f in model.functions}
        self.flat = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
        self._bytes = 0
        self._uses: dict[str, int] = {}

    def add_graph(self, graph: GraphProto, scope: _Scope) -> list[str]:
        """Add a graph's nodes and tensors, and return the flat names of its outputs."""
        inner = self._inner(scope, scope.names, _defined(graph), scope.prefix, scope.attributes)
        flat, names = self.flat.graph, inner.names
        for value in graph.input:
            flat.input.add().CopyFrom(value)
            flat.input[-1].name = names.get(value.name, value.name)
        for tensor in graph.initializer:
            self._count(tensor.ByteSize())
            flat.initializer.add().CopyFrom(tensor)
            flat.initializer[-1].name = names.get(tensor.name, tensor.name)
        for sparse in graph.sparse_initializer:
            self._count(sparse.ByteSize())
            flat.sparse_initializer.add().CopyFrom(sparse)
            flat.sparse_initializer[-1].values.name = names.get(
                sparse.values.name, sparse.values.name
            )
        for node in graph.node:
            self._add_node(node, inner)
        for value in graph.output:
            flat.output.add().CopyFrom(value)
            flat.output[-1].name = names.get(value.name, value.name)
        return [names.get(value.name, value.name) for value in graph.output]

    def _add_node(self, node: NodeProto, scope: _Scope) -> None:
        attributes = list(_bound(node.attribute, scope.attributes))
        function = self.functions.get((node.domain, node.op_type, node.overload))
        if function is not None:
            self._add_call(node, function, attributes, scope)
            return
        inner = _inner_graphs(attributes)
        results = [name for graph in inner for name in self.add_graph(graph, scope)]
        copy = NodeProto(
            op_type=node.op_type,
            domain=node.domain,
            # A name that is not UTF-8 is read as bytes.
            name=node.name and f"{scope.prefix}{node.name}",
            input=[*(scope.names.get(name, name) for name in node.input), *results],
            output=[scope.names.get(name, name) for name in node.output],
        )
        copy.attribute.extend(a for a in attributes if not _inner_graphs([a]))
        self._count(copy.ByteSize())
        self.flat.graph.node.append(copy)
        if len(self.flat.graph.node) > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES:,} nodes with those of its functions")

    def _add_call(
        self,
        call: NodeProto,
        function: FunctionProto,
        attributes: list[AttributeProto],
        scope: _Scope,
    ) -> None:
        actual = [scope.names.get(name, name) for name in (*call.input, *call.output)]
        given, wanted = actual[: len(call.input)], actual[len(call.input) :]
        names = ChainMap(dict(zip_longest(function.input, given[: len(function.input)])))
        # An input that the call omits is an empty name, as in any other node.
        names.maps[0].update({name: "" for name, value in names.items() if value is None})
        names.maps[0].update(
            {name: value for name, value in zip(function.output, wanted, strict=False) if value}
        )
        local = [o for node in function.node for o in node.output if o not in names]
        values = {a.name: a for a in (*function.attribute_proto, *attributes)}
        prefix = f"{scope.prefix}{call.name or call.op_type}/"
        inner = self._inner(scope, names, local, prefix, values)
        for node in function.node:
            self._add_node(node, inner)

    def _inner(
        self,
        scope: _Scope,
        names: ChainMap[str, str],
        defined: Iterable[str],
        prefix: str,
        attributes: Mapping[str, AttributeProto],
    ) -> _Scope:
        """Return the scope of a graph or function that defines these names."""
        if scope.depth == MAX_DEPTH:
            raise ValueError(f"functions or graphs are nested deeper than {MAX_DEPTH}")
        fresh = {name: self._fresh(name) for name in dict.fromkeys(defined) if name}
        return _Scope(names.new_child(fresh), attributes, prefix, scope.depth + 1)

    def _fresh(self, name: str) -> str:
        """Return a name that no other graph uses."""
        fresh = name
        while fresh in self._uses:
            self._uses[name] += 1
            fresh = f"{name}.{self._uses[name]}"
        self._uses[fresh] = 0
        return fresh

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES:,} bytes with the nodes of its functions")


def _defined(graph: GraphProto) -> Iterator[str]:
    yield from (value.name for value in graph.input)
    yield from (tensor.name for tensor in graph.initializer)
    yield from (sparse.values.name for sparse in graph.sparse_initializer)
    yield from (output for node in graph.node for output in node.output)


def _bound(
    attributes: Iterable[AttributeProto], values: Mapping[str, AttributeProto]
) -> Iterator[AttributeProto]:
    """Yield attributes with the values of those that refer to a function's attributes."""
    for attribute in attributes:
        if not attribute.ref_attr_name:
            yield attribute
        elif attribute.ref_attr_name in values:
            bound = AttributeProto()
            bound.CopyFrom(values[attribute.ref_attr_name])
            bound.name = attribute.name
            yield bound
