"""Measure the time and the memory of a network's passes on this machine."""

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dfkd.models.precision import fast_layout, reduced
from pipeline.config.schema import RunConfig
from pipeline.teachers.networks import image_spec

TRIAL_IMAGES = 128
"""Number of images in a trial; fewer if they are large."""

TRIAL_VALUES = 16 * 3 * 64 * 64
"""Largest number of pixel values in a trial, which has at least two images."""


@dataclass(frozen=True)
class PassTimes:
    """Time and memory of the passes for one image.

    Attributes:
        forward: Seconds of a forward pass.
        backward: Seconds of a forward and a backward pass together.
        saved_bytes: Memory of the tensors that are stored for the backward pass.
    """

    forward: float
    backward: float
    saved_bytes: int


def trial_images(config: RunConfig) -> Tensor:
    """Return normalised images of noise for trials."""
    spec = image_spec(config.input)
    pixels = spec.shape[0] * spec.shape[1] * spec.shape[2]
    count = max(2, min(TRIAL_IMAGES, TRIAL_VALUES // pixels))
    low, high = spec.value_range
    rng = torch.Generator().manual_seed(config.seed)
    return spec.normalise(low + (high - low) * torch.rand(count, *spec.shape, generator=rng))


@dataclass(frozen=True)
class NetworkTimes:
    """Time and memory of a network's passes.

    Attributes:
        training: In the precision and the memory layout of a training.
        plain: In float32.
    """

    training: PassTimes
    plain: PassTimes


def time_network(network: nn.Module, images: Tensor, precision: torch.dtype) -> NetworkTimes:
    """Measure the passes of a network. Its memory layout is changed.

    Args:
        network: A float network.
        images: Normalised images (N, C, H, W).
        precision: Its data type in a training.
    """
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    plain = time_passes(network, images)
    layout = fast_layout(network, precision)
    network.to(memory_format=layout)  # type: ignore[call-overload]
    return NetworkTimes(time_passes(network, images, precision), plain)


def time_passes(
    network: nn.Module, images: Tensor, precision: torch.dtype = torch.float32
) -> PassTimes:
    """Measure one forward and one backward pass of a network, after a warm-up pass."""
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    def logits() -> Tensor:
        with reduced(images.device, precision):
            found: Tensor = network(images).float()
        return found

    images = images.clone().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits().sum().backward()
    with torch.no_grad():
        logits()
        forward = _seconds(logits)
    backward = _seconds(lambda: logits().sum().backward())
    parameters = sum(p.numel() * p.element_size() for p in network.parameters())
    count = len(images)
    return PassTimes(
        forward / count, backward / count, max(0, sum(saved.values()) - parameters) // count
    )


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def resident_bytes() -> int:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
