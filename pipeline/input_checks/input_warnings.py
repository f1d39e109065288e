"""All warnings about the input section and the teacher."""

import math
from collections.abc import Iterator

import torch
from torch import nn

from dfkd.images import ImageSpec
from pipeline.input_checks.batch_norm_reach import batch_norm_reach, in_range
from pipeline.input_checks.customary_normalizations import customary_normalizations
from pipeline.input_checks.output_checks import output_warnings
from pipeline.input_checks.structured_images import structured_images

MAX_VALUES = 4_000_000
"""Most pixel values that are passed to the first batch norm."""

MIN_IMAGES, MAX_IMAGES = 32, 128

ANSWERED = 16
"""Images that pass through the whole teacher."""


def input_warnings(teacher: nn.Module, spec: ImageSpec) -> tuple[str, ...]:
    """Return what is probably wrong with the normalization or the teacher, one line each.

    Args:
        teacher: The teacher, frozen and in eval mode, on any device.
        spec: The run file's `input`.
    """
    device = next((tensor.device for tensor in teacher.state_dict().values()), None)
    images = structured_images(image_count(spec), spec.shape).to(device or torch.device("cpu"))
    normalized = in_range(images[:ANSWERED], spec)
    return (
        *_normalization_warnings(teacher, spec, images),
        *output_warnings(teacher, spec, normalized),
    )


def image_count(spec: ImageSpec) -> int:
    """Return how many structured images are passed to the first batch norm."""
    return max(MIN_IMAGES, min(MAX_IMAGES, MAX_VALUES // math.prod(spec.shape)))


def _normalization_warnings(
    teacher: nn.Module, spec: ImageSpec, images: torch.Tensor
) -> Iterator[str]:
    reach = batch_norm_reach(teacher, spec, images)
    if reach is None or reach.within:
        return
    fitting = []
    for name, customary in customary_normalizations(spec).items():
        reached = batch_norm_reach(teacher, customary, images)
        if reached is not None and reached.within:
            fitting.append((reached.distance, f"{name} ({_described(customary)})"))
    suggested = "; ".join(text for _, text in sorted(fitting)) or "none of the customary ones"
    yield (
        f"input: with {_described(spec)}, images cannot give the statistics stored in the "
        f"teacher's first batch norm (variances differ by a factor of {reach.factor:.3g}, means by "
        f"{reach.shift:.2g} standard deviations); normalizations that can, closest first: "
        f"{suggested}; correct the input section, or keep it if the teacher's images are unusual: "
        "this does not stop a run"
    )


def _described(spec: ImageSpec) -> str:
    mean, std, ends = (
        "[" + ", ".join(f"{value:g}" for value in values) + "]"
        for values in (spec.mean, spec.std, spec.value_range)
    )
    return f"mean {mean}, std {std}, value_range {ends}"
