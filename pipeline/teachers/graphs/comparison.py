"""Compare a converted network with ONNX Runtime."""

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from onnx import ModelProto
from torch import Tensor

from base.errors import first_line
from dfkd.images import ImageSpec
from pipeline.input_checks.structured_images import structured_images
from pipeline.teachers.graphs.conversion import Conversion
from pipeline.teachers.graphs.errors import GraphError
from pipeline.teachers.graphs.graph_file import GraphFile
from pipeline.teachers.graphs.input_layout import GraphInput
from pipeline.teachers.graphs.network import BATCH, IMAGES

TOLERANCE = 1e-3
"""Largest accepted error of a value, relative to the largest value of its tensor.

float32 gives errors of about 1e-6 in each operator. Wrong settings of an operator give far more."""

SMALLEST_SCALE = 1e-2
"""Smaller values than this one are compared as if it were the largest of their tensor."""

Arrays = dict[str, NDArray[Any]]


def compared_images(spec: ImageSpec) -> Tensor:
    """Return six normalized images (6, C, H, W): drawings and textures.

    The raw values are whole numbers if the range of values is wide enough.
    """
    low, high = spec.value_range
    raw = low + (high - low) * structured_images(6, spec.shape)
    return spec.normalise(raw.round() if high - low >= 64 else raw)


def compare(file: GraphFile, given: GraphInput, images: Tensor, conversion: Conversion) -> Tensor:
    """Compare a network with the graph that it was made from.

    Args:
        file: The graph, without the softmax at its end.
        given: How it takes its images.
        images: Normalized images (N, C, H, W).
        conversion: The network. It must be on the CPU.

    Returns:
        The network's logits for the images.

    Raises:
        GraphError: If ONNX Runtime cannot run the graph, or computes other logits. The message
            names the first operator whose output differs.
    """
    network = conversion.network
    with torch.no_grad():
        try:
            logits: Tensor = network(images)
        except Exception as error:  # torch raises many types.
            raise GraphError(
                f"the converted network cannot be run ({first_line(error)}); use the network's "
                "state dict with teacher.architecture"
            ) from None
    output = next(n for n, (value, _) in conversion.values.items() if value == network.output)
    expected = _run(file.model, file.input, [output], given, images)
    if not _differs(logits, expected[output]):
        return logits
    _name_first_difference(file, given, images, conversion)
    raise GraphError(
        f"its logits differ from those of ONNX Runtime by {_error(logits, expected[output]):.2g}; "
        "use the network's state dict with teacher.architecture"
    )


def _name_first_difference(
    file: GraphFile, given: GraphInput, images: Tensor, conversion: Conversion
) -> None:
    """Raise GraphError with the first operator whose output differs, if there is one."""
    used = {name for step in conversion.network.steps for name in step.outputs}
    compared = [name for name, (value, _) in conversion.values.items() if value in used]
    expected = _run(file.model, file.input, compared, given, images)
    values: dict[str, Any] = {IMAGES: images, BATCH: len(images)}
    with torch.no_grad():
        for step in conversion.network.steps:
            values.update(conversion.network.run(step, values))
    for name in compared:
        value, node = conversion.values[name]
        if values[value].numel() == expected[name].size and _differs(values[value], expected[name]):
            raise GraphError(
                f"operator {node.op_type} (node {node.name[:80] or node.output[0][:80]}): its "
                f"output differs from that of ONNX Runtime by "
                f"{_error(values[value], expected[name]):.2g}; use the network's state dict with "
                "teacher.architecture"
            )


def _run(
    model: ModelProto, name: str, outputs: list[str], given: GraphInput, images: Tensor
) -> Arrays:
    """Return values of a graph, computed by ONNX Runtime, for all images together."""
    observed = ModelProto()
    observed.CopyFrom(model)
    del observed.graph.output[:]
    observed.graph.output.extend(onnx.ValueInfoProto(name=output) for output in outputs)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    arrays = given.arrays(images)
    batch = given.batch or len(arrays)
    found: dict[str, list[NDArray[Any]]] = {output: [] for output in outputs}
    try:
        session = ort.InferenceSession(
            observed.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        for start in range(0, len(arrays), batch):
            # The last group is filled up with the images of the first.
            group = np.resize(arrays[start : start + batch], (batch, *arrays.shape[1:]))
            for output, value in zip(outputs, session.run(outputs, {name: group}), strict=True):
                found[output].append(value)
    except Exception as error:  # ONNX Runtime raises many types.
        raise GraphError(
            f"ONNX Runtime cannot run it ({first_line(error)}); export it again"
        ) from None
    return {output: _joined(values, len(arrays)) for output, values in found.items()}


def _joined(groups: list[NDArray[Any]], images: int) -> NDArray[Any]:
    """Join the values of groups of images; values that have no axis of images stay as they are."""
    if len(groups) == 1 or groups[0].ndim == 0:
        return groups[0]
    return np.concatenate(groups)[: images * len(groups[0])]


def _differs(found: Tensor, expected: NDArray[Any]) -> bool:
    scale = max(SMALLEST_SCALE, float(np.abs(expected.astype(float)).max(initial=0)))
    return not _error(found, expected) <= TOLERANCE * scale


def _error(found: Tensor, expected: NDArray[Any]) -> float:
    """Return the largest difference; infinite for other shapes, and for NaN in only one."""
    if found.numel() != expected.size:
        return float("inf")
    first, second = found.double().numpy().reshape(-1), expected.reshape(-1).astype(float)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    with np.errstate(invalid="ignore"):
        differences = np.nan_to_num(np.abs(first - second), nan=np.inf)
    return float(np.where(same, 0.0, differences).max(initial=0.0))
