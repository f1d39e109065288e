"""Quantize with other tools, calibrated on uniform noise, because there is no real data."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nncf
import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

Images = NDArray[np.float32]

CALIBRATION_IMAGES = 128


class _Noise(CalibrationDataReader):  # type: ignore[misc]
    """Yield one image at a time."""

    def __init__(self, images: Images) -> None:
        self.left = iter(images)

    def get_next(self) -> dict[str, Images] | None:
        """Return the next image, or None after the last one."""
        image = next(self.left, None)
        return None if image is None else {"images": image[None]}


def quantize_with_onnxruntime(graph: Path, quantized: Path, images: Images) -> None:
    """Quantize with `onnxruntime.quantization.quantize_static` and per-channel int8 weights."""
    prepared = quantized.with_suffix(".prepared.onnx")
    quant_pre_process(str(graph), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(quantized),
        _Noise(images),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def quantize_with_nncf(graph: Path, quantized: Path, images: Images) -> None:
    """Quantize with `nncf.quantize` and its default settings."""

    def batches() -> Iterator[dict[str, Images]]:
        return ({"images": image[None]} for image in images)

    source: Any = list(batches())
    model = nncf.quantize(onnx.load(graph), nncf.Dataset(source), subset_size=len(images))
    onnx.save(model, quantized)


def quantize_with_model_optimizer(graph: Path, quantized: Path, images: Images) -> None:
    """Quantize with NVIDIA's `modelopt.onnx.quantization.quantize` and its default settings."""
    # It is not a dependency of the project.
    modelopt = importlib.import_module("modelopt.onnx.quantization")
    modelopt.quantize(
        str(graph),
        calibration_data={"images": images},
        calibration_eps=["cpu"],
        output_path=str(quantized),
    )


TOOLS = {
    "onnxruntime": quantize_with_onnxruntime,
    "nncf": quantize_with_nncf,
    "modelopt": quantize_with_model_optimizer,
}
"""Each takes the float graph, the output file and normalised images (N, C, H, W)."""
