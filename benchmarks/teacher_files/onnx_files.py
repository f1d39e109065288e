"""Graphs that a tool has changed after the export."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import onnx
import onnxruntime as ort
from onnx import ModelProto
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor, nn

from benchmarks.teacher_files.file import Content
from benchmarks.teacher_files.torch_files import script


def optimized(network: nn.Module, images: Tensor, *, level: str) -> bytes:
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


def quantized(network: nn.Module, images: Tensor) -> bytes:
    """Return what ONNX Runtime's dynamic quantization writes."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "float.onnx"
        path.write_bytes(script(network, images))
        quantize_dynamic(path, Path(name) / "int8.onnx", weight_type=QuantType.QUInt8)
        return (Path(name) / "int8.onnx").read_bytes()


def external(network: nn.Module, images: Tensor) -> bytes:
    """Return a graph whose weights are in another file."""
    with tempfile.TemporaryDirectory() as name:
        model = onnx.load_model_from_string(script(network, images))
        path = f"{name}/model.onnx"
        onnx.save(model, path, save_as_external_data=True, location="weights", size_threshold=0)
        return Path(path).read_bytes()


def simplified(network: nn.Module, images: Tensor, *, tool: str, export: Content = script) -> bytes:
    """Return the graph that a tool for simplifying graphs writes.

    Args:
        network: The network.
        images: Example images.
        tool: A key of SIMPLIFIERS.
        export: Exports the network.
    """
    model = SIMPLIFIERS[tool](onnx.load_model_from_string(export(network, images)))
    content: bytes = model.SerializeToString()
    return content


def _onnxsim(model: ModelProto) -> ModelProto:
    import onnxsim

    found, is_same = onnxsim.simplify(model)
    assert is_same
    return found


def _onnxslim(model: ModelProto) -> ModelProto:
    import onnxslim

    return onnxslim.slim(model)


def _onnxoptimizer(model: ModelProto) -> ModelProto:
    import onnxoptimizer

    return onnxoptimizer.optimize(model)


SIMPLIFIERS: dict[str, Callable[[ModelProto], ModelProto]] = {
    "onnxsim": _onnxsim,
    "onnxslim": _onnxslim,
    "onnxoptimizer": _onnxoptimizer,
}
