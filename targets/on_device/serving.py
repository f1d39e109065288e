"""Ready configurations for those who serve an engine: DeepStream, Triton, a short loader.

Written from documentation; nothing in this project has run them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from base.durable_files import write_durably
from targets.bundle.bundle_files import Manifest
from targets.tensorrt.engine import Engine

GRAY, RGB = 2, 0
"""nvinfer's model-color-format."""

INT8, FP16 = 1, 2
"""nvinfer's network-mode."""


SERVING_FILES = ("config.pbtxt", "load.py", "deepstream.txt", "labels.txt")


def remove_serving_files(place: Path) -> None:
    """Remove what an earlier build wrote for those who serve its engine; this one may have none."""
    for name in SERVING_FILES:
        (place / name).unlink(missing_ok=True)


def write_serving_files(place: Path, engine: Engine, manifest: Manifest) -> None:
    """Write deepstream.txt, labels.txt, config.pbtxt and load.py beside an engine.

    Args:
        place: The engine's folder.
        engine: The one that is recommended.
        manifest: Of the bundle it was built from.
    """
    classes = list(manifest["teacher"]["class_names"])
    section = manifest["input"]
    write_durably(place / "config.pbtxt", triton_config(engine, section, manifest))
    write_durably(place / "load.py", loader_script(engine))
    if not manifest["run"]["export"]["preprocessing"]:
        write_durably(place / "deepstream.txt", deepstream_config(engine, section, bool(classes)))
    if classes:
        write_durably(place / "labels.txt", ";".join(classes) + "\n")


def deepstream_config(engine: Engine, section: Mapping[str, Any], labelled: bool) -> str:
    """A configuration of DeepStream's nvinfer for a classifier.

    nvinfer computes factor x (pixel - offset) with one factor for all channels: where the channels'
    standard deviations differ their mean stands for them, and a comment says by how much it is off.

    Args:
        engine: The engine.
        section: `input` of the run file: shape, mean, std and value range.
        labelled: Whether there is a labels.txt.
    """
    low, high = section["value_range"]
    std = list(section["std"])
    mean_std = sum(std) / len(std)
    off = max(abs(one / mean_std - 1) for one in std)
    offsets = [(mean - low) * 255 / (high - low) for mean in section["mean"]]
    channels, height, width = section["shape"]
    core = engine.options.dla_core
    lines = ["[property]", "gpu-id=0", f"model-engine-file={engine.path.name}"]
    if off:
        lines.append(f"# one factor serves all channels; it is off by up to {100 * off:.1f} %")
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
        "# nvinfer takes the outputs for probabilities, these are logits: the order is the same",
    ]
    return "\n".join(lines) + "\n"


def triton_config(engine: Engine, section: Mapping[str, Any], manifest: Manifest) -> str:
    """A model configuration of Triton; the engine is MODEL/1/model.plan there.

    Args:
        engine: The engine.
        section: `input` of the run file.
        manifest: Of the bundle.
    """
    pixels = manifest["run"]["export"]["preprocessing"]
    dims = ", ".join(map(str, section["shape"]))
    classes = manifest["run"]["teacher"]["classes"]
    free = engine.shape[0] is None
    lead = "" if free else f"{engine.shape[0]}, "
    taken = "TYPE_UINT8" if pixels else "TYPE_FP32"
    return f"""platform: "tensorrt_plan"
default_model_filename: "{engine.path.name}"
max_batch_size: {engine.options.largest if free else 0}
input [{{ name: "images" data_type: {taken} dims: [{lead}{dims}] }}]
output [{{ name: "logits" data_type: TYPE_FP32 dims: [{lead}{classes}] }}]
{_accelerator(engine)}"""


def _accelerator(engine: Engine) -> str:
    core = engine.options.dla_core
    if core is None:
        return ""
    second = f"secondary_devices [{{ kind: KIND_NVDLA device_id: {core} }}]"
    return f"instance_group [{{ kind: KIND_GPU gpus: [0] {second} }}]\n"


def loader_script(engine: Engine) -> str:
    """A short program that runs an engine, and refuses one for another TensorRT or GPU."""
    known, core = engine.fingerprint, engine.options.dla_core
    meant = f"{known.tensorrt} on {known.compute_capability}"
    text = LOADER_TEMPLATE.replace("ENGINE", engine.path.name).replace("MEANT", meant)
    return (
        text
        if core is None
        else text.replace(RUNTIME_LINE, f"{RUNTIME_LINE}runtime.DLA_core = {core}\n")
    )


RUNTIME_LINE = "runtime = trt.Runtime(trt.Logger())\n"

LOADER_TEMPLATE = '''"""Runs ENGINE with TensorRT 8.5 or newer and CUDA's runtime, nothing else."""

import ctypes
from pathlib import Path

import numpy as np
import tensorrt as trt

cuda = ctypes.CDLL("libcudart.so")
capability = (ctypes.c_int(), ctypes.c_int())
for attribute, number in enumerate(capability, 75):  # cudaDevAttrComputeCapabilityMajor, Minor
    cuda.cudaDeviceGetAttribute(ctypes.byref(number), attribute, 0)
here = ".".join(trt.__version__.split(".")[:3]) + " on %d.%d" % tuple(n.value for n in capability)
runtime = trt.Runtime(trt.Logger())
plan = Path(__file__).with_name("ENGINE").read_bytes()
engine = runtime.deserialize_cuda_engine(plan) if here == "MEANT" else None
if engine is None:
    raise SystemExit(f"ENGINE is for TensorRT MEANT, here is {here}; compile it on this device")
context = engine.create_execution_context()


def answer(images):
    """Logits (N, K) of normalised images (N, C, H, W)."""
    context.set_input_shape("images", images.shape)
    logits = np.empty(tuple(context.get_tensor_shape("logits")), np.float32)
    arrays = {"images": np.ascontiguousarray(images), "logits": logits}
    places = {name: ctypes.c_void_p() for name in arrays}
    for name, array in arrays.items():
        cuda.cudaMallocManaged(ctypes.byref(places[name]), ctypes.c_size_t(array.nbytes), 1)
        context.set_tensor_address(name, places[name].value)
    ctypes.memmove(places["images"], arrays["images"].ctypes.data, arrays["images"].nbytes)
    context.execute_async_v3(0)
    cuda.cudaDeviceSynchronize()
    ctypes.memmove(logits.ctypes.data, places["logits"], logits.nbytes)
    for place in places.values():
        cuda.cudaFree(place)
    return logits
'''
