"""How a graph takes its images."""

from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor

from dfkd.images import ImageSpec
from pipeline.teachers.graphs.builder import GraphBuilder
from pipeline.teachers.graphs.errors import GraphError
from pipeline.teachers.graphs.graph_file import GraphFile
from pipeline.teachers.graphs.normalization import normalizing_operators
from pipeline.teachers.graphs.values import Traced

Layout = Literal["NCHW", "NHWC", "NHW", "flat"]


@dataclass(frozen=True)
class GraphInput:
    """How a graph takes its images.

    Attributes:
        layout: Order of the axes: N images, C channels, H height, W width. "NHW" has no axis for
            its single channel; "flat" has the axes N and C * H * W.
        is_uint8: Whether it takes bytes.
        batch: The fixed number of images; None if it is free.
    """

    layout: Layout
    is_uint8: bool
    batch: int | None

    @staticmethod
    def of(file: GraphFile, spec: ImageSpec) -> "GraphInput":
        """Return how a graph takes images of the run file.

        Raises:
            GraphError: If type, shape or normalization does not fit the run file's `input`.
        """
        if file.input_type not in (TensorProto.FLOAT, TensorProto.UINT8):
            name = TensorProto.DataType.Name(file.input_type).lower()
            raise GraphError(
                f"its input {file.input} has type {name}; export it with float32 or uint8 images"
            )
        is_uint8 = file.input_type == TensorProto.UINT8
        layout = layout_of(file, spec.shape)
        _check_normalization(file, spec, is_uint8=is_uint8)
        return GraphInput(layout, is_uint8, file.sizes[0])

    def add_to(self, builder: GraphBuilder) -> Traced:
        """Add the calls that bring images into the graph's layout; return the graph's input."""
        images = builder.images
        if self.layout == "NHWC":
            found = builder.call(partial(torch.permute, dims=(0, 2, 3, 1)), images)
            builder.permuted[found.name] = images, (0, 2, 3, 1)
            return found
        if self.layout == "NHW":
            return builder.call(partial(torch.squeeze, dim=1), images)
        if self.layout == "flat":
            return builder.call(partial(torch.flatten, start_dim=1), images)
        return images

    def arrays(self, images: Tensor) -> NDArray[Any]:
        """Return (N, C, H, W) images as the graph takes them."""
        if self.layout == "NHWC":
            images = images.permute(0, 2, 3, 1)
        elif self.layout == "NHW":
            images = images.squeeze(1)
        elif self.layout == "flat":
            images = images.flatten(1)
        array = images.contiguous().numpy()
        return array.astype(np.uint8) if self.is_uint8 else array


def layout_of(file: GraphFile, shape: tuple[int, int, int]) -> Layout:
    """Return the order of the axes of a graph's input.

    Args:
        file: The graph.
        shape: (channels, height, width).

    Raises:
        GraphError: If the graph takes images of another shape.
    """
    channels, height, width = shape
    sizes: dict[Layout, tuple[int, ...]] = {
        "NCHW": shape,
        "NHWC": (height, width, channels),
        "NHW": (height, width) if channels == 1 else (),
        "flat": (prod(shape),),
    }
    fitting = [
        layout
        for layout, expected in sizes.items()
        if len(file.sizes) == len(expected) + 1 > 1
        and all(a in (None, b) for a, b in zip(file.sizes[1:], expected, strict=True))
    ]
    if not fitting:
        found = ", ".join("free" if size is None else str(size) for size in file.sizes)
        raise GraphError(
            f"its input {file.input} has the shape [{found}], but input.shape is {[*shape]}; "
            "correct input.shape, which is [channels, height, width]"
        )
    if len(fitting) > 1 and moves_channels_first(file):
        return "NHWC"
    return fitting[0]


def moves_channels_first(file: GraphFile) -> bool:
    """Return whether a Transpose from NHWC to NCHW reads the input."""
    return any(
        node.op_type == "Transpose"
        and list(_attribute(node, "perm") or []) == [0, 3, 1, 2]
        and node.input[0] == file.input
        for node in file.model.graph.node
    )


def _check_normalization(file: GraphFile, spec: ImageSpec, *, is_uint8: bool) -> None:
    normalizes = any(spec.mean) or any(std != 1 for std in spec.std)
    operators = normalizing_operators(file)
    if is_uint8 and (normalizes or tuple(spec.value_range) != (0.0, 255.0)):
        raise GraphError(
            f"takes uint8 images, but input.mean is {[*spec.mean]}, input.std {[*spec.std]} and "
            f"input.value_range {[*spec.value_range]}; set mean to 0, std to 1 and value_range to "
            "[0, 255]"
        )
    if operators and normalizes:
        raise GraphError(
            f"normalizes its images itself ({', '.join(operators)} at its input), but input.mean "
            f"is {[*spec.mean]} and input.std {[*spec.std]}; set mean to 0 and std to 1, and "
            "value_range to the values that the graph takes"
        )


def _attribute(node: Any, name: str) -> Any:
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), None)
