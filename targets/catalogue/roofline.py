"""What a network cannot be faster than on a device, from arithmetic, memory and launches alone.

A floor, never a latency: real kernels stay well above it. Williams, Waterman, Patterson (2009).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, NodeProto

from targets.catalogue.catalogue import JetsonTarget, PowerMode, jetsons
from targets.graph.topology import LAYER_OPERATORS, Array, Graph, output_axis

LAUNCH_US = 2.0
"""The least time between the starts of two kernels in one stream; an assumption, not a reading."""

WEIGHT_BYTES = {"int8": 1, "fp16": 2}
"""Of a weight."""

POOLING_OPERATORS = ("GlobalAveragePool", "AveragePool", "MaxPool", "ReduceMean")
"""Operators beside the layers that take a kernel of their own."""


@dataclass(frozen=True)
class Workload:
    """What one pass asks of a device.

    Attributes:
        macs: Multiplications with their additions, in convolutions and linear layers.
        weights: Numbers in those layers.
        values: Numbers that come in as images and go out as logits.
        kernels: Layers and poolings; everything else is assumed to be fused into them.
    """

    macs: int
    weights: int
    values: int
    kernels: int


@dataclass(frozen=True)
class LatencyBound:
    """The three bounds of a pass, in milliseconds.

    Attributes:
        arithmetic: At the device's dense peak.
        memory: Weights, images and logits through DRAM once; activations stay on the chip.
        launch: One kernel a layer, one after another.
    """

    arithmetic: float
    memory: float
    launch: float

    @property
    def milliseconds(self) -> float:
        """The largest of them."""
        return max(self.arithmetic, self.memory, self.launch)

    @property
    def bound(self) -> str:
        """Its name."""
        return max(("arithmetic", "memory", "launch"), key=lambda name: float(getattr(self, name)))


def workload_of(model: ModelProto, batch: int = 1) -> Workload:
    """What a float graph asks for at a batch size.

    Shapes are those of a run in ONNX Runtime: inference alone does not follow computed padding.

    Raises:
        ValueError: When a layer's weights are not constant.
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


def latency_bound(asked: Workload, tera: float, gigabytes: float, precision: str) -> LatencyBound:
    """The bounds on a device.

    Args:
        asked: The network's demand.
        tera: Dense peak at this precision, in 10^12 operations a second; a MAC is two.
        gigabytes: DRAM bandwidth, in 10^9 bytes a second.
        precision: "int8" or "fp16", of the weights; images and logits are float32.
    """
    moved = asked.weights * WEIGHT_BYTES[precision] + asked.values * 4
    return LatencyBound(
        arithmetic=2 * asked.macs / (tera * 1e12) * 1e3,
        memory=moved / (gigabytes * 1e9) * 1e3,
        launch=asked.kernels * LAUNCH_US / 1e3,
    )


@dataclass(frozen=True)
class Setting:
    """Where a floor holds.

    Attributes:
        target: The module.
        mode: One of its power modes.
        precision: Of the weights.
    """

    target: JetsonTarget
    mode: PowerMode
    precision: str


def latency_bounds(asked: Workload) -> Iterator[tuple[Setting, LatencyBound]]:
    """The bounds on every Jetson in its fastest mode, in every precision that it has."""
    for target in jetsons():
        yield from latency_bounds_on(asked, target, target.modes[:1])


def latency_bounds_on(
    asked: Workload, target: JetsonTarget, modes: Sequence[PowerMode]
) -> Iterator[tuple[Setting, LatencyBound]]:
    """The bounds on one Jetson in power modes of its, in every precision that it has."""
    for mode in modes:
        for precision in ("int8", "fp16") if target.has_int8 else ("fp16",):
            tera, gigabytes = target.peak_tops(precision, mode), target.bandwidth_gb_s(mode)
            yield Setting(target, mode, precision), latency_bound(asked, tera, gigabytes, precision)


def _shapes(model: ModelProto, graph: Graph, batch: int) -> dict[str, tuple[int, ...]]:
    """Of the layers' inputs and outputs and of the graph's, at a batch size."""
    (images,) = model.graph.input
    kind = onnx.helper.tensor_dtype_to_np_dtype(images.type.tensor_type.elem_type)
    rest = (axis.dim_value for axis in images.type.tensor_type.shape.dim[1:])
    taken = np.zeros((batch, *rest), kind)
    wanted = {name for layer in graph.layers() for name in (layer.input[0], layer.output[0])}
    names = sorted((wanted | graph.outputs) - {images.name})
    seen = ModelProto()
    seen.CopyFrom(model)
    del seen.graph.output[:]
    seen.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    session = ort.InferenceSession(seen.SerializeToString(), providers=["CPUExecutionProvider"])
    given = session.run(names, {images.name: taken})
    return {images.name: taken.shape, **{n: v.shape for n, v in zip(names, given, strict=True)}}


def _macs(layer: NodeProto, weights: Array, given: tuple[int, ...], taken: tuple[int, ...]) -> int:
    """Each output is a sum over the weights of its channel; a transposed one, each input."""
    if layer.op_type == "ConvTranspose":
        return _size(taken) * int(weights[0].size)
    channels = int(weights.shape[output_axis(layer)])
    return _size(given) * (int(weights.size) // channels)


def _size(shape: tuple[int, ...]) -> int:
    return math.prod(shape)
