"""What every synthesizer offers to the loop."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Draft:
    """A batch in the making, with its gradient.

    Attributes:
        images: (N, C, H, W), normalised.
        labels: (N,) classes asked for or (N, K) soft labels; None for an unconditional generator.
        latents: (N, latent); None when there are none.
    """

    images: Tensor
    labels: Tensor | None = None
    latents: Tensor | None = None


class Synthesizer(Protocol):
    """Makes batches: `begin`, then `draft`, backward and `step` as often as asked, then `finish`.

    Attributes:
        factor: What learning rates are multiplied by; set by the loop.
        device: Where images are made.
    """

    factor: float
    device: torch.device

    def begin(self, count: int, rng: torch.Generator) -> None:
        """Start a batch of `count` images."""

    def draft(self) -> Draft:
        """The batch as it stands, differentiable."""

    def parameters(self) -> list[Tensor]:
        """What the next backward must reach."""

    def step(self, loss: Tensor) -> None:
        """One optimiser step; `loss` is that of the draft before it."""

    def finish(self) -> Draft | None:
        """End the batch; the images for the pool, None when images are drawn at will."""

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint between batches."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""


def balanced_labels(count: int, classes: int, rng: torch.Generator) -> Tensor:
    """Classes in turn, (count,), from a random one on, so that small batches reach them all."""
    return (torch.arange(count) + torch.randint(classes, (1,), generator=rng)) % classes
