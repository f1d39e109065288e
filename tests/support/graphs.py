"""Small Q/DQ graphs, valid and invalid."""

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ZERO, SCALE = np.int8(0), np.float32(0.05)


def node(kind, inputs, outputs, **attributes):
    """Return a node named after its output."""
    return helper.make_node(kind, inputs, outputs, name=f"{outputs[0]}_node", **attributes)


class Builder:
    """Builds a graph node by node; every method returns the name of the new tensor.

    Args:
        seed: Of the random weights.
        largest_level: The largest int8 level of a weight. With 63, kernels that add products in
            16 bits do not overflow, so results do not depend on the CPU's instruction set.
    """

    def __init__(self, seed=0, largest_level=127):
        self.nodes, self.constants, self.largest_level = [], {}, largest_level
        self.rng = np.random.default_rng(seed)
        self.count = 0

    def constant(self, value, name=None):
        name = name or self._fresh("c")
        self.constants[name] = np.asarray(value)
        return name

    def add(self, kind, *inputs, **attributes):
        output = self._fresh(kind.lower())
        self.nodes.append(node(kind, list(inputs), [output], **attributes))
        return output

    def pair(self, tensor, scale=SCALE, zero=ZERO, **attributes):
        """Add Q and DQ to a tensor."""
        parameters = [self.constant(np.asarray(scale)), self.constant(np.asarray(zero))]
        quantized = self.add("QuantizeLinear", tensor, *parameters, **attributes)
        return self.add("DequantizeLinear", quantized, *parameters, **attributes)

    def weight(self, shape, axis=0):
        """Add float weights with Q and DQ, with one scale per channel along an axis."""
        values = self.rng.normal(size=shape).astype(np.float32)
        others = tuple(i for i in range(len(shape)) if i != axis)
        scale = (np.abs(values).max(others) / self.largest_level).astype(np.float32)
        return self.pair(self.constant(values), scale, np.zeros(shape[axis], np.int8), axis=axis)

    def convolution(self, tensor, channels, outputs, kernel=3, **attributes):
        """Add a convolution with quantized weights and a float bias; its input is not changed."""
        bias = self.constant(self.rng.normal(size=outputs).astype(np.float32))
        weight = self.weight((outputs, channels, kernel, kernel))
        pads = [kernel // 2] * 4
        return self.add("Conv", tensor, weight, bias, pads=pads, **attributes)

    def finish(self, tensor, channels, opset=17):
        """Pool a tensor to logits and return the checked model."""
        pooled = self.add("GlobalAveragePool", tensor)
        self.nodes.append(node("Flatten", [pooled], ["logits"]))
        return model(self.nodes, self.constants, channels, opset)

    def _fresh(self, stem):
        self.count += 1
        return f"{stem}{self.count}"


def quantized_convolution(
    *,
    activation_zero=ZERO,
    activation_scale=SCALE,
    weight_axis=0,
    weight_scale=None,
    seed=0,
    omit_zero=False,
    outputs=32,
    opset=17,
):
    """Return images -> Q -> DQ -> Conv (weight -> Q -> DQ) -> logits, with optional defects."""
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(outputs, 3, 3, 3)).astype(np.float32)
    if weight_scale is None:
        size = weight.shape[weight_axis]
        weight_scale = np.full(size, np.abs(weight).max() / 127, np.float32)
    constants = {
        "scale": np.asarray(activation_scale),
        "zero": np.asarray(activation_zero),
        "weight": weight,
        "weight_scale": weight_scale,
        "weight_zero": np.zeros(np.shape(weight_scale), np.int8),
        "bias": rng.normal(size=outputs).astype(np.float32),
    }
    zero = [] if omit_zero else ["zero"]
    weight_parameters = ["weight_scale", "weight_zero"]
    axis = {} if opset < 13 else {"axis": weight_axis}
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "scale", *zero], ["q"], name="quantize"),
        helper.make_node("DequantizeLinear", ["q", "scale", *zero], ["dq"], name="dequantize"),
        helper.make_node(
            "QuantizeLinear", ["weight", *weight_parameters], ["wq"], name="wq", **axis
        ),
        helper.make_node(
            "DequantizeLinear", ["wq", *weight_parameters], ["wdq"], name="wdq", **axis
        ),
        helper.make_node("Conv", ["dq", "wdq", "bias"], ["y"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["y"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["logits"]),
    ]
    return model(nodes, constants, outputs, opset)


def residual(seed=0, channels=32, on_branch=False, on_identity=True, relu=True):
    """Return a residual block, quantized for TensorRT by default."""
    build = Builder(seed)
    x = build.convolution(build.pair("images"), 3, channels)
    bare = build.add("Relu", x)
    x = build.pair(bare)
    y = build.convolution(x, channels, channels)
    y = build.pair(build.add("Relu", y) if relu else y)
    y = build.convolution(y, channels, channels)
    if on_branch:
        y = build.pair(y, np.float32(0.11))
    added = build.add("Add", y, x if on_identity else bare)
    return build.finish(build.pair(build.add("Relu", added)), channels)


def model(nodes, constants, classes=32, opset=17):
    """Return a checked model from images (batch, 3, 8, 8) to logits."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])],
        [numpy_helper.from_array(np.asarray(v), name) for name, v in constants.items()],
    )
    result = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    if opset >= 13:
        onnx.checker.check_model(result)
    return result


def run_graph(model, images, output="logits"):
    """Return an output of a model in memory, computed without optimizations."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run([output], {"images": images})[0]
