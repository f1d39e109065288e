"""Reading ONNX files that anyone may have written: bounded, and from their own folder only."""

from collections.abc import Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, TensorProto
from onnx.external_data_helper import (
    ExternalDataInfo,
    load_external_data_for_tensor,
    uses_external_data,
)

MOST = 2 << 30
"""Bytes of a graph with all its tensors: more does protobuf not take."""


def read_graph(path: Path) -> ModelProto:
    """A model with all its tensors, also those that lie in files beside it.

    Raises:
        OSError: When it cannot be read.
        ValueError: When it is no ONNX file, is too large, or a tensor lies outside its folder or
            beyond the end of its file.
    """
    if path.stat().st_size > MOST:
        raise ValueError(f"{path}: larger than {MOST:,} bytes")
    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError:
        raise ValueError(f"{path}: not an ONNX file") from None
    outside = [tensor for tensor in _tensors(model.graph) if uses_external_data(tensor)]
    if sum(_bytes_of(tensor, path) for tensor in outside) > MOST:
        raise ValueError(f"{path}: its tensors are larger than {MOST:,} bytes")
    for tensor in outside:
        load_external_data_for_tensor(tensor, str(path.parent))
    return model


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                # An attribute that is no graph has an empty one.
                yield from _tensors(inner) if inner.node or inner.initializer else ()


def _bytes_of(tensor: TensorProto, path: Path) -> int:
    """What a tensor takes of a file beside the graph."""
    told = ExternalDataInfo(tensor)
    folder = path.parent.resolve()
    place = (folder / told.location).resolve()
    if not place.is_relative_to(folder) or not place.is_file():
        raise ValueError(f"{path}: there is no {told.location!r} beside it for {tensor.name!r}")
    # Some versions read them as numbers, others leave the text.
    size, offset = place.stat().st_size, int(told.offset or 0)
    length = int(told.length) if told.length else size - offset
    if not 0 <= offset <= offset + length <= size:
        raise ValueError(f"{path}: {tensor.name!r} lies beyond the end of {told.location!r}")
    return length
