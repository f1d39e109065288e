"""Reading ONNX files that anyone may have written: bounded, and from their own folder only."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, TensorProto
from onnx.external_data_helper import (
    ExternalDataInfo,
    load_external_data_for_tensor,
    uses_external_data,
)

MAX_GRAPH_BYTES = 2 << 30
"""Bytes of a graph with all its tensors: more does protobuf not take."""


def read_graph(path: Path) -> ModelProto:
    """A model with all its tensors, also those that lie in files beside it.

    Raises:
        OSError: When it cannot be read.
        ValueError: When it is no ONNX file, is too large, or a tensor lies outside its folder or
            beyond the end of its file.
    """
    if not path.is_file() and path.exists():
        raise ValueError(f"{path}: no file")
    size = path.stat().st_size
    if size > MAX_GRAPH_BYTES:
        raise ValueError(f"{path}: larger than {MAX_GRAPH_BYTES:,} bytes")
    try:
        # By its content: the format that its name suggests may be one of text.
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except DecodeError:
        raise ValueError(f"{path}: not an ONNX file") from None
    if not model.graph.node:
        # An empty file reads as an empty model.
        raise ValueError(f"{path}: not an ONNX file, or one without a single node")
    outside = [tensor for tensor in _all_tensors(model) if uses_external_data(tensor)]
    if size + sum(_bytes_of(tensor, path) for tensor in outside) > MAX_GRAPH_BYTES:
        raise ValueError(f"{path}: larger than {MAX_GRAPH_BYTES:,} bytes with its tensors")
    for tensor in outside:
        try:
            load_external_data_for_tensor(tensor, str(path.parent))
        except onnx.checker.ValidationError as error:
            # It takes no links, also such as lead to where they may.
            raise ValueError(f"{path}: {str(error).splitlines()[0]}") from None
    return model


def _all_tensors(model: ModelProto) -> Iterator[TensorProto]:
    yield from _tensors(model.graph)
    for function in model.functions:
        yield from _of_nodes(function.node)
    for info in model.training_info:
        yield from _tensors(info.initialization)
        yield from _tensors(info.algorithm)


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
            for inner in (attribute.g, *attribute.graphs):
                # An attribute that is no graph has an empty one.
                yield from _tensors(inner) if inner.node or inner.initializer else ()


def _bytes_of(tensor: TensorProto, path: Path) -> int:
    """What a tensor takes of a file beside the graph."""
    told = ExternalDataInfo(tensor)
    folder = path.parent.resolve()
    try:
        place = (folder / told.location).resolve()
        is_there = place.is_relative_to(folder) and place.is_file()
    except (OSError, RuntimeError, ValueError):  # Links in a circle, names that are none.
        is_there = False
    if not is_there:
        raise ValueError(f"{path}: there is no {told.location!r} beside it for {tensor.name!r}")
    # Some versions read them as numbers, others leave the text.
    size, offset = place.stat().st_size, int(told.offset or 0)
    length = int(told.length) if told.length else size - offset
    if not 0 <= offset <= offset + length <= size:
        raise ValueError(f"{path}: {tensor.name!r} lies beyond the end of {told.location!r}")
    return length
