"""A small bundle, without training: its networks classify pictures by their brightness."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from base.file_digest import file_digest

SHAPE = (1, 4, 4)

NAMES = ["dark", "medium", "bright"]


def write_brightness_bundle(folder, *, int8_bias=0.0, preprocessing=False, batch=None, **manifest):
    """Write a bundle with an fp32 and an "int8" model (both compute in float).

    Args:
        folder: The bundle's folder, created here.
        int8_bias: Added to the int8 model's logit of "bright".
        preprocessing: Let the graphs take uint8 pixels.
        batch: A fixed batch size, or None.
        manifest: Keys of the manifest to replace.
    """
    files = {}
    for precision, bias in (("int8", int8_bias), ("fp32", 0.0)):
        name = f"targets/local-cpu/model.{precision}.onnx"
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        onnx.save(_graph(bias, preprocessing, batch), folder / name)
        files[name] = file_digest(folder / name)
    precisions = {p: {"file": f"targets/local-cpu/model.{p}.onnx"} for p in ("int8", "fp32")}
    content = {
        **{"name": "brightness", "bundle": "0" * 64, "verdict": None, "engines": {}},
        "teacher": {"class_names": NAMES, "fingerprint": "0" * 64},
        "input": {"shape": SHAPE, "mean": [0.5], "std": [0.5], "value_range": [0.0, 1.0]},
        "run": {"teacher": {"classes": 3}, "targets": ["local-cpu"]},
        "targets": {"local-cpu": precisions},
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps({**content, **manifest}))
    return folder


def _graph(bright_bias, preprocessing, batch):
    """Return a network whose class is the one of 0, 0.5 and 1 that is nearest to the mean pixel."""
    # The nearest c has the largest 2 c m - c^2. The images are 2 m - 1.
    centres = np.array([0.0, 0.5, 1.0], np.float32)
    weight, bias = centres[None], centres - centres**2
    bias[2] += bright_bias
    constants = {"weight": 40 * weight, "bias": 40 * bias}
    nodes, images = [], "images"
    if preprocessing:
        constants |= {"scale": np.float32(2 / 255), "shift": np.float32(-1)}
        nodes = [
            helper.make_node("Cast", ["images"], ["raw"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["raw", "scale"], ["scaled"]),
            helper.make_node("Add", ["scaled", "shift"], ["normalized"]),
        ]
        images = "normalized"
    nodes += [
        helper.make_node("GlobalAveragePool", [images], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weight", "bias"], ["logits"]),
    ]
    input_type, size = TensorProto.UINT8 if preprocessing else TensorProto.FLOAT, batch or "batch"
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("images", input_type, [size, *SHAPE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [size, 3])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
