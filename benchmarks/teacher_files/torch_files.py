"""Files that torch and safetensors write."""

import io

import torch
from safetensors.torch import save
from torch import Tensor, nn


def script(
    network: nn.Module,
    images: Tensor,
    *,
    opset: int = 17,
    free: bool = True,
    keep: bool = False,
) -> bytes:
    """Return what torch's TorchScript-based exporter writes."""
    mode, file = torch.onnx.TrainingMode, io.BytesIO()
    torch.onnx.export(
        network,
        (images if free else images[:1],),
        file,  # type: ignore[arg-type]
        dynamo=False,
        opset_version=opset,
        input_names=["images"],
        output_names=["logits"],
        dynamic_axes={"images": {0: "n"}} if free else None,
        training=mode.PRESERVE if keep else mode.EVAL,
        do_constant_folding=not keep,
    )
    return file.getvalue()


def dynamo(network: nn.Module, images: Tensor, *, opset: int) -> bytes:
    """Return what torch's exporter based on torch.export writes."""
    shapes = ({0: torch.export.Dim("n")},)
    made = torch.onnx.export(
        network, (images,), dynamo=True, opset_version=opset, dynamic_shapes=shapes, verbose=False
    )
    assert made is not None
    content: bytes = made.model_proto.SerializeToString()
    return content


def program(network: nn.Module, images: Tensor) -> bytes:
    """Return what torch.export.save writes."""
    file = io.BytesIO()
    shapes = ({0: torch.export.Dim("n")},)
    torch.export.save(torch.export.export(network, (images,), dynamic_shapes=shapes), file)
    return file.getvalue()


def scripted(network: nn.Module, images: Tensor, *, traced: bool) -> bytes:
    """Return what torch.jit.save writes."""
    file = io.BytesIO()
    made = torch.jit.trace(network, images) if traced else torch.jit.script(network)
    torch.jit.save(made, file)
    return file.getvalue()


def pickled(network: nn.Module, images: Tensor) -> bytes:
    """Return what torch.save writes for a state dict."""
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    return file.getvalue()


def whole(network: nn.Module, images: Tensor) -> bytes:
    """Return what torch.save writes for a whole network."""
    file = io.BytesIO()
    torch.save(network, file)
    return file.getvalue()


def saved(network: nn.Module, images: Tensor) -> bytes:
    """Return what safetensors writes."""
    return save(network.state_dict())
