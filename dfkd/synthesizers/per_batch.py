"""The common part of synthesizers that optimize a generator for one batch at a time."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from dfkd.composition import Composition
from dfkd.optimizers import make_optimizer
from dfkd.synthesizers.protocol import GeneratedBatch, balanced_labels


class PerBatchSynthesizer(ABC):
    """Optimizes a generator for each batch and returns the images with the smallest loss.

    Args:
        recipe: The recipe.
        classes: Number of classes.
        device: The device on which images are made.
        latent: Size of the latent vectors.
        latent_lr: Adam's learning rate for the latents; 0 does not optimize them.
    """

    def __init__(
        self,
        recipe: Composition,
        classes: int,
        device: torch.device,
        latent: int,
        latent_lr: float = 0.0,
    ) -> None:
        self.recipe, self.classes, self.device = recipe, classes, device
        self.latent, self.latent_lr = latent, latent_lr
        self.factor = 1.0
        self.labels, self.latents = torch.empty(0), torch.empty(0)
        self.optimizer: torch.optim.Optimizer
        self._present: GeneratedBatch | None = None
        self._best: tuple[float, GeneratedBatch] | None = None

    @abstractmethod
    def network(self) -> nn.Module:
        """Return the network that draws the current batch."""

    @abstractmethod
    def draw(self) -> Tensor:
        """Return images (N, C, H, W) for the current labels and latents."""

    def start(self, count: int, rng: torch.Generator) -> None:
        """Draw labels and latents of a batch and create its optimizer."""
        self.labels = balanced_labels(count, self.classes, rng).to(self.device)
        latents = torch.randn(count, self.latent, generator=rng).to(self.device)
        self.latents = latents.requires_grad_(self.latent_lr > 0)
        self._best, self._present = None, None
        groups: list[dict[str, Any]] = [{"params": list(self.network().parameters())}]
        if self.latent_lr:
            groups.append({"params": [self.latents], "lr": self.latent_lr * self.factor})
        rate = self.recipe.generator.lr * self.factor
        self.optimizer = make_optimizer(self.recipe.generator, groups, rate)

    def batch(self) -> GeneratedBatch:
        """Return the current batch, ready for a backward pass."""
        self._present = GeneratedBatch(self.draw(), self.labels, self.latents)
        return self._present

    def parameters(self) -> list[Tensor]:
        """Return the network's parameters, and the latents if they are optimized."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def step(self, loss: Tensor) -> None:
        """Record the batch if its loss is the smallest so far, then take one step."""
        assert self._present is not None
        value = loss.item()
        if self._best is None or value < self._best[0]:
            images, latents = self._present.images.detach(), self.latents.detach().clone()
            self._best = (value, GeneratedBatch(images, self.labels, latents))
        self.optimizer.step()

    def finish(self) -> GeneratedBatch:
        """Return the batch with the smallest loss."""
        assert self._best is not None
        best = self._best[1]
        self._best, self._present = None, None
        return best
