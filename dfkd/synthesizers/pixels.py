"""Optimization of pixels for class labels, without a generator (DeepInversion)."""

from typing import Any

import torch
from torch import Tensor

from dfkd.composition import Composition
from dfkd.images import ImageSpec
from dfkd.optimizers import make_optimizer
from dfkd.synthesizers.protocol import GeneratedBatch, SynthesizerContext, balanced_labels


def build(recipe: Composition, context: SynthesizerContext) -> "PixelSynthesizer":
    """Return the synthesizer of a recipe."""
    return PixelSynthesizer(recipe, context.spec, context.classes, context.device)


class PixelSynthesizer:
    """Optimizes normal noise for balanced labels and returns the images with the smallest loss.

    Args:
        recipe: The recipe.
        spec: Specification of the images.
        classes: Number of classes.
        device: The device on which images are made.
    """

    def __init__(
        self, recipe: Composition, spec: ImageSpec, classes: int, device: torch.device
    ) -> None:
        self.recipe, self.spec, self.classes, self.device = recipe, spec, classes, device
        self.factor = 1.0
        self.standard, self.labels = torch.empty(0), torch.empty(0)
        self.optimizer: torch.optim.Optimizer
        self._best: tuple[float, Tensor] | None = None

    def noise(self, count: int, rng: torch.Generator) -> Tensor:
        """Return the initial images (count, C, H, W) on the standard scale."""
        return torch.randn(count, *self.spec.shape, generator=rng)

    def targets(self, count: int, rng: torch.Generator) -> Tensor:
        """Return the labels (count,)."""
        return balanced_labels(count, self.classes, rng)

    def begin(self, count: int, rng: torch.Generator) -> None:
        """Draw initial images and labels of a batch and create its optimizer."""
        self.standard = self.noise(count, rng).to(self.device).requires_grad_()
        self.labels = self.targets(count, rng).to(self.device)
        rate = self.recipe.generator.lr * self.factor
        self.optimizer = make_optimizer(self.recipe.generator, [self.standard], rate)
        self._best = None

    def batch(self) -> GeneratedBatch:
        """Return the current images."""
        return GeneratedBatch(self.spec.from_standard(self.standard), self.labels)

    def parameters(self) -> list[Tensor]:
        """Return the images on the standard scale."""
        return [self.standard]

    @torch.no_grad()
    def step(self, loss: Tensor) -> None:
        """Record the images if their loss is the smallest so far, then take one step."""
        value = loss.item()
        if self._best is None or value < self._best[0]:
            self._best = (value, self.spec.from_standard(self.standard.detach()).clone())
        self.optimizer.step()
        images = self.in_range(self.spec.from_standard(self.standard))
        self.standard.copy_(self.spec.to_standard(images))

    def in_range(self, images: Tensor) -> Tensor:
        """Return the images clamped to the value range."""
        return self.spec.clamp(images)

    def finish(self) -> GeneratedBatch:
        """Return the images with the smallest loss, clamped to the value range."""
        assert self._best is not None
        return GeneratedBatch(self.spec.clamp(self._best[1]), self.labels)

    def state_dict(self) -> dict[str, Any]:
        """Return an empty state, because nothing is kept from one batch to the next."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore nothing."""
