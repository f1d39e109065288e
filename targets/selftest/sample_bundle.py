"""Write a bundle of a small residual network with random weights for a selftest.

The teacher is the network's own float graph, so every engine should agree with it. Its speed says
nothing about other networks.
"""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from base.file_digest import file_digest
from targets.bundle.golden import Golden
from targets.graph.half_precision import in_half_precision
from targets.graph.int8_weights import store_weights_as_int8
from targets.graph.residual_additions import unquantize_convolution_branches

SHAPE = (3, 32, 32)
CHANNELS, CLASSES = 32, 10

SELFTEST_OPSET = 13
"""The newest opset that the TensorRT of every JetPack reads."""

PROBE_COUNT = 1000
"""Enough to prove that an engine which matches its graph on 99 % of the probes is good enough."""

Array = NDArray[np.float32]


def write_selftest_bundle(folder: Path, opset: int) -> None:
    """Write all forms of the graph, probes and a manifest.

    Args:
        folder: An empty folder.
        opset: Opset of the graphs; those with float16 scales have 19.
    """
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 256, (PROBE_COUNT, 3, 4, 4), np.uint8)
    pixels = np.kron(blocks, np.ones((1, 1, 8, 8), np.uint8))
    mean, std = np.full(3, 0.5, np.float32), np.full(3, 0.25, np.float32)
    weights = _weights(rng)
    probes = Golden(
        pixels,
        mean,
        std,
        np.array([0, 1], np.float32),
        np.zeros((PROBE_COUNT, CLASSES), np.float32),
        np.zeros(PROBE_COUNT, np.int64),
        np.zeros(PROBE_COUNT, np.int64),
    )
    # Without a bias that removes the mean, a random network predicts one class for all images.
    weights["bias"] = -_activations(_network(weights, {}, opset), probes.images)["logits"].mean(0)
    in_float = _network(weights, {}, opset)
    observed = _activations(in_float, probes.images)
    vars(probes)["teacher_logits"][:] = observed["logits"]
    scales = {name: float(np.abs(values).max() / 127) for name, values in observed.items()}
    quantized = _network(weights, scales, opset)
    fused = unquantize_convolution_branches(copy.deepcopy(quantized))
    stored = store_weights_as_int8(copy.deepcopy(fused))
    forms = {
        "fp32": in_float,
        "fp16": in_half_precision(in_float),
        "int8": stored,
        "int8-float-weights": fused,
        "int8-fp16": in_half_precision(stored),
        "int8-cpu": store_weights_as_int8(quantized),
    }
    (folder / "graphs").mkdir(parents=True)
    for role, model in forms.items():
        onnx.checker.check_model(model)
        onnx.save(model, folder / "graphs" / f"student.{role}.onnx")
    probes.save(folder / "golden.npz")
    (folder / "manifest.json").write_text(json.dumps(_manifest(folder, opset), indent=1))


def _weights(rng: np.random.Generator) -> dict[str, Array]:
    def normal(*shape: int) -> Array:
        spread = (2 / np.prod(shape[1:])) ** 0.5
        return (spread * rng.normal(size=shape)).astype(np.float32)

    return {
        "first": normal(CHANNELS, 3, 3, 3),
        "second": normal(CHANNELS, CHANNELS, 3, 3),
        "third": normal(CHANNELS, CHANNELS, 3, 3),
        "last": normal(CLASSES, CHANNELS),
        "bias": np.zeros(CLASSES, np.float32),
    }


def _network(weights: dict[str, Array], scales: dict[str, float], opset: int) -> ModelProto:
    """Return one residual block between a convolution and a linear layer.

    Args:
        weights: Weights by layer name.
        scales: Scales of the activations to quantize; {} for a float graph.
        opset: The graph's opset.
    """
    nodes: list[Any] = []
    constants: dict[str, NDArray[Any]] = {}

    def pair(tensor: str, scale: NDArray[Any], **axis: Any) -> str:
        zero = np.zeros(scale.shape, np.int8)
        parameters = [f"{tensor}_scale", f"{tensor}_zero"]
        constants.update(zip(parameters, (scale, zero), strict=True))
        for operator, source, output in (
            ("QuantizeLinear", tensor, f"{tensor}_q"),
            ("DequantizeLinear", f"{tensor}_q", f"{tensor}_dq"),
        ):
            inputs = [source, *parameters]
            nodes.append(helper.make_node(operator, inputs, [output], name=output, **axis))
        return f"{tensor}_dq"

    def activation(tensor: str) -> str:
        if tensor not in scales:
            return tensor
        return pair(tensor, np.array(scales[tensor], np.float32))

    def layer(name: str, tensor: str, output: str) -> None:
        weight = weights[name]
        constants[name] = weight
        weight_input = name
        if scales:
            largest = np.abs(weight).reshape(len(weight), -1).max(1)
            weight_input = pair(name, (largest / 127).astype(np.float32), axis=0)
        operator, bias = "Conv", []
        options: dict[str, Any] = {"pads": [1] * 4}
        if weight.ndim == 2:
            operator, options, bias = "Gemm", {"transB": 1}, ["bias"]
            constants["bias"] = weights["bias"]
        inputs = [tensor, weight_input, *bias]
        nodes.append(helper.make_node(operator, inputs, [output], name=output, **options))

    def step(operator: str, inputs: list[str], output: str) -> None:
        nodes.append(helper.make_node(operator, inputs, [output], name=output))

    layer("first", activation("images"), "a")
    step("Relu", ["a"], "b")
    identity = activation("b")
    layer("second", identity, "c")
    step("Relu", ["c"], "d")
    layer("third", activation("d"), "e")
    step("Add", [activation("e"), identity], "f")
    step("Relu", ["f"], "g")
    step("GlobalAveragePool", [activation("g")], "h")
    step("Flatten", ["h"], "i")
    layer("last", activation("i"), "logits")
    graph = helper.make_graph(
        nodes,
        "selftest",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", *SHAPE])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def _activations(model: ModelProto, images: Array) -> dict[str, Array]:
    """Return the values of every quantizable tensor for the probes."""
    observed = copy.deepcopy(model)
    names = ["b", "d", "e", "g", "i"]
    observed.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names
    )
    session = ort.InferenceSession(observed.SerializeToString(), providers=["CPUExecutionProvider"])
    names = ["logits", *names]
    values = session.run(names, {"images": images})
    return {"images": images, **dict(zip(names, values, strict=True))}


def _manifest(folder: Path, opset: int) -> dict[str, Any]:
    files = {
        str(path.relative_to(folder)): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return {
        "name": "selftest",
        "bundle": "selftest",
        "teacher": {"class_names": []},
        "input": {
            "shape": SHAPE,
            "mean": [0.5] * 3,
            "std": [0.25] * 3,
            "value_range": [0, 1],
        },
        "run": {
            "gate": {"agreement": 0.85, "confidence": 0.95},
            "export": {"preprocessing": False, "opset": opset},
            "teacher": {"classes": CLASSES},
        },
        "files": files,
    }
