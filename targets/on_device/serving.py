"""Configuration files to serve an engine: DeepStream, Triton, and a Python loader.

They follow the documentation; this project has not run them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from base.durable_files import write_durably
from targets.bundle.bundle_files import Manifest
from targets.tensorrt.engine import Engine

GRAY, RGB = 2, 0
"""Values of nvinfer's model-color-format."""

INT8, FP16 = 1, 2
"""Values of nvinfer's network-mode."""


SERVING_FILES = ("config.pbtxt", "load.py", "deepstream.txt", "labels.txt")


def remove_serving_files(folder: Path) -> None:
    """Remove the serving files of an earlier build; this one may have none."""
    for name in SERVING_FILES:
        (folder / name).unlink(missing_ok=True)


def write_serving_files(folder: Path, engine: Engine, manifest: Manifest) -> None:
    """Write deepstream.txt, labels.txt, config.pbtxt and load.py beside an engine.

    Args:
        folder: The engine's folder.
        engine: The recommended engine.
        manifest: The bundle's manifest.
    """
    classes = list(manifest["teacher"]["class_names"])
    section = manifest["input"]
    write_durably(folder / "config.pbtxt", triton_config(engine, section, manifest))
    write_durably(folder / "load.py", loader_script(engine))
    if not manifest["run"]["export"]["preprocessing"]:
        write_durably(folder / "deepstream.txt", deepstream_config(engine, section, bool(classes)))
    if classes:
        write_durably(folder / "labels.txt", ";".join(classes) + "\n")


def deepstream_config(engine: Engine, section: Mapping[str, Any], labelled: bool) -> str:
    """Return a configuration of DeepStream's nvinfer for a classifier.

    nvinfer computes factor x (pixel - offset) with one factor for all channels. If the standard
    deviations differ, the factor uses their mean, and a comment states the largest error.

    Args:
        engine: The engine.
        section: The run file's `input` section: shape, mean, std and value range.
        labelled: Whether there is a labels.txt.
    """
    low, high = section["value_range"]
    std = list(section["std"])
    mean_std = sum(std) / len(std)
    largest_error = max(abs(each / mean_std - 1) for each in std)
    offsets = [(mean - low) * 255 / (high - low) for mean in section["mean"]]
    channels, height, width = section["shape"]
    core = engine.options.dla_core
    lines = ["[property]", "gpu-id=0", f"model-engine-file={engine.path.name}"]
    if largest_error:
        lines.append(f"# one factor for all channels: error up to {100 * largest_error:.1f} %")
    lines += [
        f"net-scale-factor={(high - low) / (255 * mean_std):.9g}",
        f"offsets={';'.join(f'{offset:.6g}' for offset in offsets)}",
        f"model-color-format={RGB if channels == 3 else GRAY}",
        f"infer-dims={channels};{height};{width}",
        f"batch-size={engine.options.batch}",
        f"network-mode={INT8 if engine.options.precision == 'int8' else FP16}",
        "network-type=1",
        "process-mode=1",
        "output-blob-names=logits",
        *(["labelfile-path=labels.txt"] if labelled else []),
        *([] if core is None else ["enable-dla=1", f"use-dla-core={core}"]),
        "classifier-threshold=0.0",
        "# nvinfer expects probabilities; the outputs are logits, which have the same order",
    ]
    return "\n".join(lines) + "\n"


def triton_config(engine: Engine, section: Mapping[str, Any], manifest: Manifest) -> str:
    """Return a model configuration for Triton, where the engine is MODEL/1/model.plan.

    Args:
        engine: The engine.
        section: The run file's `input` section.
        manifest: The bundle's manifest.
    """
    takes_pixels = manifest["run"]["export"]["preprocessing"]
    dims = ", ".join(map(str, section["shape"]))
    classes = manifest["run"]["teacher"]["classes"]
    dynamic = engine.shape[0] is None
    batch = "" if dynamic else f"{engine.shape[0]}, "
    input_type = "TYPE_UINT8" if takes_pixels else "TYPE_FP32"
    return f"""platform: "tensorrt_plan"
default_model_filename: "{engine.path.name}"
max_batch_size: {engine.options.largest if dynamic else 0}
input [{{ name: "images" data_type: {input_type} dims: [{batch}{dims}] }}]
output [{{ name: "logits" data_type: TYPE_FP32 dims: [{batch}{classes}] }}]
{_accelerator(engine)}"""


def _accelerator(engine: Engine) -> str:
    core = engine.options.dla_core
    if core is None:
        return ""
    second = f"secondary_devices [{{ kind: KIND_NVDLA device_id: {core} }}]"
    return f"instance_group [{{ kind: KIND_GPU gpus: [0] {second} }}]\n"


def loader_script(engine: Engine) -> str:
    """Return a short Python program that runs the engine on its TensorRT version and GPU only."""
    fingerprint, core = engine.fingerprint, engine.options.dla_core
    expected = f"{fingerprint.tensorrt} on {fingerprint.compute_capability}"
    text = LOADER_TEMPLATE.replace("ENGINE", engine.path.name).replace("EXPECTED", expected)
    return (
        text
        if core is None
        else text.replace(RUNTIME_LINE, f"{RUNTIME_LINE}runtime.DLA_core = {core}\n")
    )


RUNTIME_LINE = "runtime = trt.Runtime(trt.Logger())\n"

LOADER_TEMPLATE = '''"""Run ENGINE; needs only TensorRT 8.5 or newer and the CUDA runtime."""

import ctypes
from pathlib import Path

import numpy as np
import tensorrt as trt

cuda = ctypes.CDLL("libcudart.so")
capability = (ctypes.c_int(), ctypes.c_int())
for attribute, number in enumerate(capability, 75):  # cudaDevAttrComputeCapabilityMajor, Minor
    cuda.cudaDeviceGetAttribute(ctypes.byref(number), attribute, 0)
found = ".".join(trt.__version__.split(".")[:3]) + " on %d.%d" % tuple(n.value for n in capability)
runtime = trt.Runtime(trt.Logger())
plan = Path(__file__).with_name("ENGINE").read_bytes()
engine = runtime.deserialize_cuda_engine(plan) if found == "EXPECTED" else None
if engine is None:
    raise SystemExit(f"ENGINE needs TensorRT EXPECTED, found {found}; compile it on this device")
context = engine.create_execution_context()


def answer(images):
    """Return logits (N, K) for normalized images (N, C, H, W)."""
    context.set_input_shape("images", images.shape)
    logits = np.empty(tuple(context.get_tensor_shape("logits")), np.float32)
    arrays = {"images": np.ascontiguousarray(images), "logits": logits}
    buffers = {name: ctypes.c_void_p() for name in arrays}
    for name, array in arrays.items():
        cuda.cudaMallocManaged(ctypes.byref(buffers[name]), ctypes.c_size_t(array.nbytes), 1)
        context.set_tensor_address(name, buffers[name].value)
    ctypes.memmove(buffers["images"], arrays["images"].ctypes.data, arrays["images"].nbytes)
    context.execute_async_v3(0)
    cuda.cudaDeviceSynchronize()
    ctypes.memmove(logits.ctypes.data, buffers["logits"], logits.nbytes)
    for buffer in buffers.values():
        cuda.cudaFree(buffer)
    return logits
'''
