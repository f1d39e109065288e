"""Measure how much quantization changes the output of each layer of an exported graph."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from base.notify import Advance, ignore
from targets.bundle.golden import Golden
from targets.cpu.session import open_session
from targets.graph.graph_file import read_graph
from targets.graph.topology import LAYER_OPERATORS
from targets.graph.without_quantizers import without_quantizers

ERROR_PROBES = 32
"""Number of probes on which the outputs are compared."""

Values = dict[str, NDArray[np.float32]]


def layer_errors(graph: Path, golden: Golden, advance: Advance = ignore) -> dict[str, float]:
    """Return the error that quantization causes in each layer's output, relative to the output.

    The error is the root mean square of the difference between the outputs with and without the
    quantizers, divided by the root mean square of the output without them. It includes the errors
    of earlier layers, but nothing that training or equalization changed.

    Args:
        graph: An exported Q/DQ graph with float weights.
        golden: The probes; `ERROR_PROBES` at even spacing are used.
        advance: Receives 1 after each of them.

    Returns:
        The error by the layer's name, in the order of the graph. Layers whose output is always 0
        are left out.
    """
    probes = golden.subset(ERROR_PROBES)
    layers = [node for node in read_graph(graph).graph.node if node.op_type in LAYER_OPERATORS]
    outputs = [layer.output[0] for layer in layers]
    difference, size = dict.fromkeys(outputs, 0.0), dict.fromkeys(outputs, 0.0)
    pairs = zip(
        _values(without_quantizers(read_graph(graph)), outputs, probes),
        _values(read_graph(graph), outputs, probes),
        strict=True,
    )
    for exact, quantized in pairs:
        for output in outputs:
            change = quantized[output] - exact[output]
            difference[output] += float(np.square(change, dtype=np.float64).sum())
            size[output] += float(np.square(exact[output], dtype=np.float64).sum())
        advance(1)
    return {
        layer.name: (difference[output] / size[output]) ** 0.5
        for layer, output in zip(layers, outputs, strict=True)
        if size[output] > 0
    }


def _values(model: ModelProto, tensors: list[str], probes: Golden) -> Iterator[Values]:
    """Yield the values of tensors for each probe, one at a time: they need much memory."""
    present = {output.name for output in model.graph.output}
    model.graph.output.extend(
        helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None)
        for tensor in tensors
        if tensor not in present
    )
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(model, path := Path(folder) / "with_outputs.onnx")
        session = open_session(path, optimized=False, threads=0)
    (images,) = session.get_inputs()
    batch = images.shape[0] if isinstance(images.shape[0], int) else 1
    for index in range(len(probes.pixels)):
        pixels = np.repeat(probes.pixels[index : index + 1], batch, 0)
        given = pixels if images.type == "tensor(uint8)" else probes.normalise(pixels)
        yield dict(zip(tensors, session.run(tensors, {"images": given}), strict=True))
