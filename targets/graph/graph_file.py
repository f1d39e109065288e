"""Read ONNX files from untrusted sources: bounded in size, and only from the file's own folder."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto
from onnx.external_data_helper import (
    ExternalDataInfo,
    load_external_data_for_tensor,
    uses_external_data,
)

from targets.graph.structure import check_structure

MAX_GRAPH_BYTES = 2 << 30
"""Largest size of a graph with all its tensors; protobuf accepts no more."""


def read_graph(path: Path) -> ModelProto:
    """Read a model with all its tensors, including those in files beside it.

    Args:
        path: An ONNX file.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is not an ONNX file, malformed or too large, or if a tensor is outside its
            folder or beyond the end of its data file.
    """
    if not path.is_file() and path.exists():
        raise ValueError(f"{path}: not a file")
    size = path.stat().st_size
    if size > MAX_GRAPH_BYTES:
        raise ValueError(f"{path}: {size:,} bytes, more than {MAX_GRAPH_BYTES:,}")
    try:
        # The file extension must not select another format, such as text.
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except DecodeError:
        raise ValueError(f"{path}: not an ONNX file") from None
    if not model.graph.node:
        # An empty file parses as an empty model.
        raise ValueError(f"{path}: not an ONNX file, or one without nodes")
    external = [tensor for tensor in all_tensors(model) if uses_external_data(tensor)]
    total = size + sum(_external_bytes(tensor, path) for tensor in external)
    if total > MAX_GRAPH_BYTES:
        raise ValueError(f"{path}: {total:,} bytes with its tensors, more than {MAX_GRAPH_BYTES:,}")
    for tensor in external:
        try:
            load_external_data_for_tensor(tensor, str(path.parent))
        except onnx.checker.ValidationError as error:
            # onnx refuses every link, even one that stays inside the folder.
            raise ValueError(f"{path}: {str(error).splitlines()[0]}") from None
    try:
        check_structure(model)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    return model


def all_tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Yield every tensor of a model: also those of functions, subgraphs and sparse tensors.

    Fields that are not set yield empty tensors.
    """
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _attribute_tensors(function.attribute_proto)
        yield from _node_tensors(function.node)
    for info in model.training_info:
        yield from _graph_tensors(info.initialization)
        yield from _graph_tensors(info.algorithm)


def _graph_tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        yield from _attribute_tensors(node.attribute)


def _attribute_tensors(attributes: Iterable[AttributeProto]) -> Iterator[TensorProto]:
    for attribute in attributes:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        # An attribute of another type has an empty graph.
        for inner in (attribute.g, *attribute.graphs):
            yield from _graph_tensors(inner)


def _external_bytes(tensor: TensorProto, path: Path) -> int:
    """Return how many bytes of its data file a tensor occupies."""
    info = ExternalDataInfo(tensor)
    folder = path.parent.resolve()
    try:
        data_file = (folder / info.location).resolve()
        exists = data_file.is_relative_to(folder) and data_file.is_file()
    except (OSError, RuntimeError, ValueError):  # Circular links, invalid names.
        exists = False
    if not exists:
        raise ValueError(
            f"{path}: tensor {tensor.name!r} needs {info.location!r}, which is not in the graph's "
            "folder"
        )
    # Some versions of onnx parse these as numbers, others keep the text.
    size, offset = data_file.stat().st_size, int(info.offset or 0)
    length = int(info.length) if info.length else size - offset
    if not 0 <= offset <= offset + length <= size:
        raise ValueError(f"{path}: {tensor.name!r} is beyond the end of {info.location!r}")
    return length
