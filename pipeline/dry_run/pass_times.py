"""Measure the time and the memory of a network's passes on this machine."""

import copy
import os
import resource
import statistics
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from dfkd.models.forward_pass import forward_with_features
from dfkd.models.precision import reduced, set_fast_layout
from pipeline.config.schema import RunConfig
from pipeline.teachers.networks import image_spec

TRIAL_IMAGES = 128
"""Number of images in a trial; fewer if they are large."""

TRIAL_VALUES = 16 * 3 * 64 * 64
"""Largest number of pixel values in a trial, which has at least two images."""


MAX_TIMED_RUNS, MAX_TIMED_S = 5, 0.5
"""A pass is repeated until there are so many runs, or until they took so long."""


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


class PassTimer:
    """Measures the passes of a network for batches of a stage's size. Results are kept.

    A pass has a fixed cost, so an image of a small batch takes longer than one of a large batch.

    Args:
        network: A float network. A copy is measured.
        images: Normalised images (N, C, H, W); larger batches are taken to cost as much per image.
        precision: The data type of its arithmetic.
        training: Whether a pass is one of a training: with the statistics of the batch norms'
            inputs, which most recipes use, and in the memory layout of a training.
        learns: Whether a backward pass includes an optimizer step.
    """

    def __init__(
        self,
        network: nn.Module,
        images: Tensor,
        precision: torch.dtype = torch.float32,
        *,
        training: bool = False,
        learns: bool = False,
    ) -> None:
        self.network, self.images = copy.deepcopy(network), images
        self.precision, self.learns = precision, learns
        self.needs = ("statistics",) if training else ()
        if training:
            set_fast_layout(self.network, precision, images[:2])
        if learns:
            for parameter in self.network.parameters():
                parameter.requires_grad_(parameter.is_floating_point())
        self._known: dict[int, PassTimes] = {}

    def __call__(self, batch: int) -> PassTimes:
        """Return time and memory for one image of a batch."""
        batch = max(1, min(batch, len(self.images)))
        if batch not in self._known:
            self._known[batch] = time_passes(
                self.network, self.images[:batch], self.precision, self.needs, learns=self.learns
            )
        return self._known[batch]


@dataclass(frozen=True)
class NetworkTimes:
    """Time and memory of a network's passes, by the size of the batch.

    Attributes:
        training: In the precision and the memory layout of a training.
        plain: In float32, without a gradient.
    """

    training: Callable[[int], PassTimes]
    plain: Callable[[int], PassTimes]


def time_passes(
    network: nn.Module,
    images: Tensor,
    precision: torch.dtype = torch.float32,
    needs: Collection[str] = (),
    *,
    learns: bool = False,
) -> PassTimes:
    """Measure forward and backward passes of a network, after a warm-up pass.

    Args:
        network: A network.
        images: What it takes, for instance normalised images (N, C, H, W).
        precision: The data type of its arithmetic.
        needs: What a pass records and differentiates, as for `forward_with_features`.
        learns: Whether a backward pass includes an optimizer step.
    """
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    def loss() -> Tensor:
        with reduced(images.device, precision):
            seen = forward_with_features(network, images, needs)
        layers = [layer.mean.sum() + layer.variance.sum() for layer in seen.statistics]
        return sum(layers, start=seen.logits.sum())

    images = images.clone().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss().backward()
    with torch.no_grad():
        loss()
        forward = _seconds(loss)
    backward = _seconds(lambda: loss().backward())
    if learns:
        # With a rate of 0 the weights stay the same.
        backward += _seconds(torch.optim.Adam(network.parameters(), 0.0).step)
    # Of matrices and kernels, copies in the data type of the arithmetic are saved.
    parameters = sum(
        p.numel() * (precision.itemsize if p.ndim > 1 else p.element_size())
        for p in network.parameters()
    )
    count = len(images)
    return PassTimes(
        forward / count, backward / count, max(0, sum(saved.values()) - parameters) // count
    )


def _seconds(run: Callable[[], object]) -> float:
    """Return the median time of a few runs; of one run if it is long."""
    times: list[float] = []
    while len(times) < MAX_TIMED_RUNS and sum(times) < MAX_TIMED_S:
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def process_age() -> float:
    """Return the seconds since this process was started."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def resident_bytes() -> int:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
