"""The files, each made by the library that users make it with."""

import io
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from safetensors.torch import save
from torch import nn

from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.teachers.torchvision_on_cpu import import_torchvision

CLASSES = 10

OF_TORCHVISION = (
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
)


@dataclass(frozen=True)
class File:
    """One file.

    Attributes:
        kind: What wrote it.
        name: The network.
        shape: Shape of an image.
        network: Makes the network.
        content: Makes the file's bytes from the network and example images.
        suffix: The file's suffix.
        teacher: More keys of the run file's `teacher`.
        refused: Whether it should be refused.
    """

    kind: str
    name: str
    shape: tuple[int, int, int]
    network: Callable[[], nn.Module]
    content: Callable[[nn.Module, torch.Tensor], bytes]
    suffix: str = ".onnx"
    teacher: dict[str, Any] = field(default_factory=dict)
    refused: bool = False


def _registry(name: str, shape: tuple[int, int, int]) -> nn.Module:
    spec = ImageSpec(shape, (0.0,) * shape[0], (1.0,) * shape[0])
    return build(name, spec, CLASSES)


def _torchvision(name: str) -> nn.Module:
    options: dict[str, Any] = {"init_weights": True} if name == "googlenet" else {}
    network: nn.Module = import_torchvision().models.get_model(
        name, weights=None, num_classes=CLASSES, **options
    )
    return network


def script(
    network: nn.Module,
    images: torch.Tensor,
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


def dynamo(network: nn.Module, images: torch.Tensor, *, opset: int) -> bytes:
    """Return what torch's exporter based on torch.export writes."""
    shapes = ({0: torch.export.Dim("n")},)
    made = torch.onnx.export(
        network, (images,), dynamo=True, opset_version=opset, dynamic_shapes=shapes, verbose=False
    )
    assert made is not None
    content: bytes = made.model_proto.SerializeToString()
    return content


def program(network: nn.Module, images: torch.Tensor) -> bytes:
    """Return what torch.export.save writes."""
    file = io.BytesIO()
    shapes = ({0: torch.export.Dim("n")},)
    torch.export.save(torch.export.export(network, (images,), dynamic_shapes=shapes), file)
    return file.getvalue()


def scripted(network: nn.Module, images: torch.Tensor, *, traced: bool) -> bytes:
    """Return what torch.jit.save writes."""
    file = io.BytesIO()
    made = torch.jit.trace(network, images) if traced else torch.jit.script(network)
    torch.jit.save(made, file)
    return file.getvalue()


def optimized(network: nn.Module, images: torch.Tensor, *, level: str) -> bytes:
    """Return the graph that ONNX Runtime writes after its optimizations."""
    with tempfile.TemporaryDirectory() as name:
        options = ort.SessionOptions()
        options.graph_optimization_level = getattr(
            ort.GraphOptimizationLevel, f"ORT_ENABLE_{level}"
        )
        options.optimized_model_filepath = f"{name}/optimized.onnx"
        options.log_severity_level = 4
        ort.InferenceSession(script(network, images), options, providers=["CPUExecutionProvider"])
        return Path(options.optimized_model_filepath).read_bytes()


def quantized(network: nn.Module, images: torch.Tensor) -> bytes:
    """Return what ONNX Runtime's dynamic quantization writes."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "float.onnx"
        path.write_bytes(script(network, images))
        quantize_dynamic(path, Path(name) / "int8.onnx", weight_type=QuantType.QUInt8)
        return (Path(name) / "int8.onnx").read_bytes()


def external(network: nn.Module, images: torch.Tensor) -> bytes:
    """Return a graph whose weights are in another file."""
    with tempfile.TemporaryDirectory() as name:
        model = onnx.load_model_from_string(script(network, images))
        path = f"{name}/model.onnx"
        onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=0)
        return Path(path).read_bytes()


def pickled(network: nn.Module, images: torch.Tensor) -> bytes:
    """Return what torch.save writes for a state dict."""
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    return file.getvalue()


def whole(network: nn.Module, images: torch.Tensor) -> bytes:
    """Return what torch.save writes for a whole network."""
    file = io.BytesIO()
    torch.save(network, file)
    return file.getvalue()


def saved(network: nn.Module, images: torch.Tensor) -> bytes:
    """Return what safetensors writes."""
    return save(network.state_dict())


def make(file: File) -> tuple[nn.Module, bytes]:
    """Return a file's network, in eval mode, and the file's bytes."""
    torch.manual_seed(0)
    network = file.network()
    images = torch.rand(4, *file.shape)
    with torch.no_grad():
        network.train()(images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return network.eval(), file.content(network, images[:2])


def _files() -> list[File]:
    colour, digit = (3, 32, 32), (1, 28, 28)
    resnet = partial(_registry, "resnet20", colour)
    lenet = partial(_registry, "lenet5-bn", digit)
    given = {"architecture": "lenet5-bn"}
    trusted = {"trusted": True}
    found = [
        File(
            "torch.onnx.export, TorchScript",
            f"{name}, opset 17",
            (3, 64, 64),
            partial(_torchvision, name),
            script,
        )
        for name in OF_TORCHVISION
    ]
    for opset in (11, 13, 17):
        content = partial(script, opset=opset)
        found.append(
            File(
                "torch.onnx.export, TorchScript",
                f"resnet20, opset {opset}",
                colour,
                resnet,
                content,
            )
        )
    kept, fixed = partial(script, keep=True), partial(script, free=False)
    kind = "torch.onnx.export, TorchScript"
    found += [
        File(kind, "resnet20, batch norms kept", colour, resnet, kept),
        File(kind, "resnet20, batch of 1", colour, resnet, fixed),
        File(
            "torch.onnx.export, dynamo",
            "lenet5-bn, opset 18",
            digit,
            lenet,
            partial(dynamo, opset=18),
        ),
        File(
            "torch.onnx.export, dynamo",
            "lenet5-bn, opset 21",
            digit,
            lenet,
            partial(dynamo, opset=21),
        ),
        File("ONNX Runtime, basic", "resnet20", colour, resnet, partial(optimized, level="BASIC")),
        File(
            "ONNX Runtime, extended",
            "resnet20",
            colour,
            resnet,
            partial(optimized, level="EXTENDED"),
            refused=True,
        ),
        File("ONNX Runtime, quantized", "lenet5-bn", digit, lenet, quantized, refused=True),
        File("onnx.save, external data", "lenet5-bn", digit, lenet, external, refused=True),
        File("torch.export.save", "lenet5-bn", digit, lenet, program, ".pt2", trusted),
        File(
            "torch.export.save",
            "lenet5-bn, not trusted",
            digit,
            lenet,
            program,
            ".pt2",
            refused=True,
        ),
        File(
            "torch.jit.script",
            "lenet5-bn",
            digit,
            lenet,
            partial(scripted, traced=False),
            ".pt",
            trusted,
        ),
        File(
            "torch.jit.trace",
            "lenet5-bn",
            digit,
            lenet,
            partial(scripted, traced=True),
            ".pt",
            trusted,
        ),
        File(
            "torch.jit.trace",
            "lenet5-bn, not trusted",
            digit,
            lenet,
            partial(scripted, traced=True),
            ".pt",
            refused=True,
        ),
        File("torch.save, state dict", "lenet5-bn", digit, lenet, pickled, ".pt", given),
        File(
            "torch.save, state dict",
            "lenet5-bn, no architecture",
            digit,
            lenet,
            pickled,
            ".pt",
            refused=True,
        ),
        File("torch.save, network", "lenet5-bn", digit, lenet, whole, ".pt", given, refused=True),
        File("safetensors", "lenet5-bn", digit, lenet, saved, ".safetensors", given),
    ]
    return found


FILES = _files()
