"""The interface between synthesizers and the training loop."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dfkd.images import ImageSpec


@dataclass(frozen=True)
class GeneratedBatch:
    """Images from a synthesizer, with their labels and latents.

    Attributes:
        images: Normalized images (N, C, H, W).
        labels: Class labels (N,) or soft labels (N, K); None for an unconditional generator.
        latents: Latent vectors (N, latent); None without a generator.
    """

    images: Tensor
    labels: Tensor | None = None
    latents: Tensor | None = None


@dataclass(frozen=True)
class SynthesizerContext:
    """What a synthesizer needs in addition to the recipe.

    Attributes:
        generator: The network from `build_generator`; None if the recipe has none.
        teacher: The teacher's network, for synthesizers that use the weights of its last layer.
        spec: Specification of the images.
        classes: Number of classes.
        device: The device on which images are made.
    """

    generator: nn.Module | None
    teacher: nn.Module
    spec: ImageSpec
    classes: int
    device: torch.device


class Synthesizer(Protocol):
    """Makes batches of images.

    To make a batch, call `begin`. For each of the recipe's steps, call `batch`, compute the
    gradients and call `step`. Then call `finish`.

    Attributes:
        factor: Factor of the learning rates; the training loop sets it.
        device: The device on which images are made.
    """

    factor: float
    device: torch.device

    def begin(self, count: int, rng: torch.Generator) -> None:
        """Start a batch of `count` images."""

    def batch(self) -> GeneratedBatch:
        """Return the current batch, ready for a backward pass."""

    def parameters(self) -> list[Tensor]:
        """Return the tensors that need gradients from the next backward pass."""

    def step(self, loss: Tensor) -> None:
        """Take one optimizer step; `loss` is the loss before the step."""

    def finish(self) -> GeneratedBatch | None:
        """End the batch.

        Returns:
            The images for the pool; None for a synthesizer that draws images on demand.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return the state that is kept between batches, for a checkpoint."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state."""


def balanced_labels(count: int, classes: int, rng: torch.Generator) -> Tensor:
    """Return labels (count,) that run through all classes in order, from a random first class.

    If batches are smaller than the number of classes, the random start lets every class occur.
    """
    return (torch.arange(count) + torch.randint(classes, (1,), generator=rng)) % classes
