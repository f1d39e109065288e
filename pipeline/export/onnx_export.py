"""Export a torch module to an ONNX model that every supported runtime can read."""

import io
import warnings
from typing import Any

import numpy as np
import onnx
import torch
from onnx import ModelProto
from onnx_ir import from_proto, to_proto
from onnx_ir.passes.common import IdentityEliminationPass, RemoveUnusedNodesPass
from torch import Tensor, nn

from targets.graph.convolution_pads import merge_pads

INPUT_NAME, OUTPUT_NAME = "images", "logits"

EXAMPLES = 13
"""Batch size of the example input for an export. Sizes that are multiples of it stay dynamic, all
others become constants (`pipeline.tracing.fixed_form`). Few sizes are multiples of 13."""


def export_onnx(network: nn.Module, example: Tensor, opset: int, batch: int | None) -> ModelProto:
    """Export a network to an ONNX model with the input `images` and the output `logits`.

    Uses torch's TorchScript exporter, which keeps the requested opset. The newer exporter merges
    equal Q/DQ pairs. The TorchScript exporter leaves `Identity` nodes between shared constants and
    their users, which TensorRT 8 rejects; they are removed.

    Args:
        network: The network. It is put into eval mode.
        example: (N, C, H, W) images as the network takes them; the first one is used.
        opset: The ONNX opset version, 13 or later.
        batch: The fixed batch size, or None for a dynamic batch dimension.

    Returns:
        The model, in memory.
    """
    count = EXAMPLES if batch is None else batch
    axes = {INPUT_NAME: {0: "batch"}, OUTPUT_NAME: {0: "batch"}} if batch is None else None
    file: Any = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (example[:1].repeat(count, 1, 1, 1),),
            file,
            dynamo=False,
            opset_version=opset,
            input_names=[INPUT_NAME],
            output_names=[OUTPUT_NAME],
            dynamic_axes=axes,
        )
    graph = from_proto(merge_pads(onnx.load_model_from_string(file.getvalue())))
    IdentityEliminationPass()(graph)
    RemoveUnusedNodesPass()(graph)
    model = to_proto(graph)
    if batch is None:
        _free_reshapes(model)
    return model


def _free_reshapes(model: ModelProto) -> None:
    """Replace the constant batch size `EXAMPLES` in the shapes of Reshape nodes.

    The exporter stores `len(images)` as a constant. With -1 in its place, the size is inferred. It
    stays the same if the constant was not the batch size. If the shape already contains -1, a first
    size of 0 copies the batch size from the input.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensors[node.output[0]] = node.attribute[0].t
    for tensor in (tensors.get(n.input[1]) for n in model.graph.node if n.op_type == "Reshape"):
        if tensor is None:
            continue
        shape = onnx.numpy_helper.to_array(tensor).tolist()
        if EXAMPLES in shape and 0 not in shape:
            if -1 not in shape:
                shape[shape.index(EXAMPLES)] = -1
            elif shape[0] == EXAMPLES:
                shape[0] = 0
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array(shape, np.int64), tensor.name))


class WithPreprocessing(nn.Module):
    """A network that takes uint8 pixels and normalises them itself.

    Args:
        network: Takes normalised images.
        scale: (C,) step of one pixel level, in normalised units.
        shift: (C,) normalised value of pixel 0.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("scale", scale.view(1, -1, 1, 1))
        self.register_buffer("shift", shift.view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits (N, K) for uint8 pixels (N, C, H, W)."""
        logits: Tensor = self.network(pixels.float() * self.scale + self.shift)
        return logits
