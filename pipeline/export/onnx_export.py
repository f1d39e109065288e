"""From a torch module to an ONNX model in memory, as every runtime here can read it."""

import io
import warnings
from typing import Any

import onnx
import torch
from onnx import ModelProto
from onnx_ir import from_proto, to_proto
from onnx_ir.passes.common import IdentityEliminationPass
from torch import Tensor, nn

INPUT, OUTPUT = "images", "logits"


def exported(network: nn.Module, example: Tensor, opset: int, batch: int | None) -> ModelProto:
    """Export a network with input `images` and output `logits`.

    torch's older exporter keeps to the opset asked for; the newer one merges equal Q/DQ pairs. It
    leaves `Identity` nodes between shared constants and their users, which TensorRT 8 refuses;
    they are folded.

    Args:
        network: In eval mode.
        example: (N, C, H, W) as the network takes it.
        opset: 13 or later.
        batch: Fixed size of a batch; None leaves it free.
    """
    axes = {INPUT: {0: "batch"}, OUTPUT: {0: "batch"}} if batch is None else None
    file: Any = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (example if batch is None else example[:1].repeat(batch, 1, 1, 1),),
            file,
            dynamo=False,
            opset_version=opset,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_axes=axes,
        )
    graph = from_proto(onnx.load_model_from_string(file.getvalue()))
    IdentityEliminationPass()(graph)
    return to_proto(graph)


class Preprocessed(nn.Module):
    """A network that takes pixels as a camera delivers them.

    Args:
        network: Takes normalised images.
        scale: (C,) what a level of a pixel means in normalised units.
        shift: (C,) what pixel 0 means.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("scale", scale.view(1, -1, 1, 1))
        self.register_buffer("shift", shift.view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (N, K) of uint8 pixels (N, C, H, W)."""
        logits: Tensor = self.network(pixels.float() * self.scale + self.shift)
        return logits
