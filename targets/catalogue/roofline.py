"""Lower bounds on latency from arithmetic, memory traffic and kernel launches.

A bound is never a prediction: real kernels are well above it. Roofline model: Williams, Waterman,
Patterson (2009).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, NodeProto

from targets.catalogue.catalogue import jetsons
from targets.catalogue.target_types import JetsonTarget, PowerMode
from targets.graph.topology import LAYER_OPERATORS, Array, Graph, output_axis

LAUNCH_US = 2.0
"""Assumed minimum time between the starts of two kernels in one stream, in microseconds."""

WEIGHT_BYTES = {"int8": 1, "fp16": 2}
"""Size of one weight."""

POOLING_OPERATORS = ("GlobalAveragePool", "AveragePool", "MaxPool", "ReduceMean")
"""Operators that need a kernel of their own, besides the layers."""


@dataclass(frozen=True)
class Workload:
    """The work of one forward pass.

    Attributes:
        macs: Multiply-accumulates in convolutions and linear layers.
        weights: Number of weights in those layers.
        values: Number of input values and logits.
        kernels: Number of layers and poolings; all other operators are assumed to be fused.
    """

    macs: int
    weights: int
    values: int
    kernels: int


@dataclass(frozen=True)
class LatencyBound:
    """The three lower bounds on one forward pass, in milliseconds.

    Attributes:
        arithmetic: Time at the device's dense peak.
        memory: Time to move weights, images and logits through DRAM once; activations stay on chip.
        launch: Time to start one kernel after another.
    """

    arithmetic: float
    memory: float
    launch: float

    @property
    def milliseconds(self) -> float:
        """The largest of the three."""
        return max(self.arithmetic, self.memory, self.launch)

    @property
    def bound(self) -> str:
        """The name of the largest."""
        return max(("arithmetic", "memory", "launch"), key=lambda name: float(getattr(self, name)))


def workload_of(model: ModelProto, batch: int = 1) -> Workload:
    """Count the work of a float graph at a batch size.

    Shapes come from a run in ONNX Runtime, because static inference does not follow computed
    padding.

    Args:
        model: A float32 graph with one input.
        batch: Number of images.

    Raises:
        ValueError: If a layer's weights are not constant.
    """
    graph = Graph(model)
    shapes = _shapes(model, graph, batch)
    macs = weights = 0
    for layer in graph.layers():
        stored = graph.weight_of(layer)
        if stored is None:
            raise ValueError(f"{layer.name}: its weights are not constant")
        macs += _macs(layer, stored, shapes[layer.output[0]], shapes[layer.input[0]])
        weights += stored.size
    ends = [model.graph.input[0].name, *graph.outputs]
    kernels = sum(node.op_type in (*LAYER_OPERATORS, *POOLING_OPERATORS) for node in graph.nodes)
    return Workload(macs, weights, sum(_size(shapes[name]) for name in ends), kernels)


def latency_bound(
    workload: Workload, peak_tops: float, bandwidth_gb_s: float, precision: str
) -> LatencyBound:
    """Return the lower bounds on a device.

    Args:
        workload: The network's work.
        peak_tops: Dense peak at this precision, in 10^12 operations per second; a
            multiply-accumulate is two operations.
        bandwidth_gb_s: DRAM bandwidth, in 10^9 bytes per second.
        precision: "int8" or "fp16", of the weights; images and logits are float32.
    """
    moved = workload.weights * WEIGHT_BYTES[precision] + workload.values * 4
    return LatencyBound(
        arithmetic=2 * workload.macs / (peak_tops * 1e12) * 1e3,
        memory=moved / (bandwidth_gb_s * 1e9) * 1e3,
        launch=workload.kernels * LAUNCH_US / 1e3,
    )


@dataclass(frozen=True)
class Setting:
    """The device and precision that a bound holds for.

    Attributes:
        target: The module.
        mode: One of its power modes.
        precision: Of the weights.
    """

    target: JetsonTarget
    mode: PowerMode
    precision: str


def latency_bounds(workload: Workload) -> Iterator[tuple[Setting, LatencyBound]]:
    """Yield the bounds on every Jetson in its fastest mode, in each precision it supports."""
    for target in jetsons():
        yield from latency_bounds_on(workload, target, target.modes[:1])


def latency_bounds_on(
    workload: Workload, target: JetsonTarget, modes: Sequence[PowerMode]
) -> Iterator[tuple[Setting, LatencyBound]]:
    """Yield the bounds on one Jetson in some of its power modes, in each precision it supports."""
    for mode in modes:
        for precision in ("int8", "fp16") if target.has_int8 else ("fp16",):
            peak, bandwidth = target.peak_tops(precision, mode), target.bandwidth_gb_s(mode)
            bound = latency_bound(workload, peak, bandwidth, precision)
            yield Setting(target, mode, precision), bound


def _shapes(model: ModelProto, graph: Graph, batch: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the graph's ends and of all layers' inputs and outputs."""
    (images,) = model.graph.input
    dtype = onnx.helper.tensor_dtype_to_np_dtype(images.type.tensor_type.elem_type)
    rest = (axis.dim_value for axis in images.type.tensor_type.shape.dim[1:])
    zeros = np.zeros((batch, *rest), dtype)
    wanted = {name for layer in graph.layers() for name in (layer.input[0], layer.output[0])}
    names = sorted((wanted | graph.outputs) - {images.name})
    observed = ModelProto()
    observed.CopyFrom(model)
    del observed.graph.output[:]
    observed.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = ort.InferenceSession(observed.SerializeToString(), providers=["CPUExecutionProvider"])
    values = session.run(names, {images.name: zeros})
    return {images.name: zeros.shape, **{n: v.shape for n, v in zip(names, values, strict=True)}}


def _macs(
    layer: NodeProto, weights: Array, output: tuple[int, ...], images: tuple[int, ...]
) -> int:
    """Count a layer's multiply-accumulates.

    Each output value is a sum over its channel's weights. In a transposed convolution each input
    value is multiplied with all weights of its channel.
    """
    if layer.op_type == "ConvTranspose":
        return _size(images) * int(weights[0].size)
    channels = int(weights.shape[output_axis(layer)])
    return _size(output) * (int(weights.size) // channels)


def _size(shape: tuple[int, ...]) -> int:
    return math.prod(shape)
