"""The interface between synthesizers and the training loop."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from dfkd.images import ImageSpec


@dataclass(frozen=True)
class GeneratedBatch:
    """Images on their way to the networks.

    Attributes:
        images: (N, C, H, W), normalized.
        labels: (N,) class labels or (N, K) soft labels; None for an unconditional generator.
        latents: (N, latent); None without a generator.
    """

    images: Tensor
    labels: Tensor | None = None
    latents: Tensor | None = None


@dataclass(frozen=True)
class SynthesizerContext:
    """What a synthesizer needs besides the recipe.

    Attributes:
        generator: The network from `build_generator`; None when the recipe has none.
        teacher: The network, for synthesizers that read its last layer.
        spec: The images.
        classes: Number of classes.
        device: Where images are made.
    """

    generator: nn.Module | None
    teacher: nn.Module
    spec: ImageSpec
    classes: int
    device: torch.device


class Synthesizer(Protocol):
    """Makes batches of images.

    Each batch begins with `begin`, continues with as many rounds of `batch`, backward pass and
    `step` as the recipe has steps, and ends with `finish`.

    Attributes:
        factor: Factor of the learning rates; set by the loop.
        device: Where images are made.
    """

    factor: float
    device: torch.device

    def begin(self, count: int, rng: torch.Generator) -> None:
        """Start a batch of `count` images."""

    def batch(self) -> GeneratedBatch:
        """Return the present batch, differentiable."""

    def parameters(self) -> list[Tensor]:
        """Return the tensors that need gradients from the next backward pass."""

    def step(self, loss: Tensor) -> None:
        """Take one optimizer step; `loss` belongs to the batch before it."""

    def finish(self) -> GeneratedBatch | None:
        """End the batch.

        Returns:
            The images for the pool; None for a synthesizer that draws images on demand.
        """

    def state_dict(self) -> dict[str, Any]:
        """Return the state between two batches for a checkpoint."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state."""


def balanced_labels(count: int, classes: int, rng: torch.Generator) -> Tensor:
    """Return the classes in turn, (count,), from a random first one.

    Over several batches that are smaller than the number of classes, every class occurs.
    """
    return (torch.arange(count) + torch.randint(classes, (1,), generator=rng)) % classes
