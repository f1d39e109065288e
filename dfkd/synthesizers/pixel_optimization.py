"""Images optimised themselves, pixel by pixel, without a generator."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.images import ImageSpec
from dfkd.models.forward_pass import last_linear
from dfkd.recipe import Recipe
from dfkd.synthesizers.protocol import Draft, balanced_labels
from dfkd.training.optimizers import make_optimizer

CONCENTRATIONS = (1.0, 0.1)
"""Scales of ZSKD's Dirichlet distributions: half of the impressions each."""


class PixelSynthesizer:
    """DeepInversion: normal noise is optimised towards balanced labels; the best draft is kept.

    Args:
        recipe: The composition.
        spec: The images.
        classes: Number of classes.
        device: Where images are made.
    """

    def __init__(self, recipe: Recipe, spec: ImageSpec, classes: int, device: torch.device) -> None:
        self.recipe, self.spec, self.classes, self.device = recipe, spec, classes, device
        self.factor = 1.0
        self.images, self.labels = torch.empty(0), torch.empty(0)
        self.optimizer: torch.optim.Optimizer
        self._best: tuple[float, Tensor] | None = None

    def noise(self, count: int, rng: torch.Generator) -> Tensor:
        """Where the optimisation starts."""
        return torch.randn(count, *self.spec.shape, generator=rng)

    def targets(self, count: int, rng: torch.Generator) -> Tensor:
        """What the teacher shall answer."""
        return balanced_labels(count, self.classes, rng)

    def begin(self, count: int, rng: torch.Generator) -> None:
        """Noise, targets and an optimiser of the batch's own."""
        self.images = self.noise(count, rng).to(self.device).requires_grad_()
        self.labels = self.targets(count, rng).to(self.device)
        rate = self.recipe.generator.lr * self.factor
        self.optimizer = make_optimizer(self.recipe.generator, [self.images], rate)
        self._best = None

    def draft(self) -> Draft:
        """The images as they stand."""
        return Draft(self.images, self.labels)

    def parameters(self) -> list[Tensor]:
        """The images."""
        return [self.images]

    @torch.no_grad()
    def step(self, loss: Tensor) -> None:
        """Keep the images if they are the best so far, then one step, back into the range."""
        value = loss.item()
        if self._best is None or value < self._best[0]:
            self._best = (value, self.images.detach().clone())
        self.optimizer.step()
        self.images.copy_(self.confined(self.images))

    def confined(self, images: Tensor) -> Tensor:
        """Images within the value range: clamped."""
        return self.spec.clamp(images)

    def finish(self) -> Draft:
        """The best images, within the range that real ones have."""
        assert self._best is not None
        return Draft(self.spec.clamp(self._best[1]), self.labels)

    def state_dict(self) -> dict[str, Any]:
        """Nothing lasts beyond a batch."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""


class SoftLabelPixelSynthesizer(PixelSynthesizer):
    """ZSKD: uniform noise is optimised towards soft answers drawn from a Dirichlet distribution.

    Args:
        recipe: The composition.
        teacher: Its last layer's weights say which classes are alike.
        spec: The images.
        classes: Number of classes.
        device: Where images are made.
    """

    def __init__(
        self,
        recipe: Recipe,
        teacher: nn.Module,
        spec: ImageSpec,
        classes: int,
        device: torch.device,
    ) -> None:
        super().__init__(recipe, spec, classes, device)
        self.similarity = class_similarity(last_linear(teacher).weight.detach().float())

    def noise(self, count: int, rng: torch.Generator) -> Tensor:
        """Uniform over the value range."""
        low, high = self.spec.value_range
        raw = low + (high - low) * torch.rand(count, *self.spec.shape, generator=rng)
        return self.spec.normalise(raw)

    def targets(self, count: int, rng: torch.Generator) -> Tensor:
        """Soft labels around classes in turn."""
        return dirichlet_targets(self.similarity, balanced_labels(count, self.classes, rng))

    def confined(self, images: Tensor) -> Tensor:
        """Each image stretched over the whole value range, as in the published code."""
        raw = self.spec.denormalise(images)
        low, high = self.spec.value_range
        least = raw.amin((1, 2, 3), keepdim=True)
        most = raw.amax((1, 2, 3), keepdim=True)
        scaled = (raw - least) / (most - least).clamp_min(1e-12)
        return self.spec.normalise(low + (high - low) * scaled)


def class_similarity(weight: Tensor) -> Tensor:
    """(K, K) cosine similarity of the last layer's rows, each row scaled to [0, 1] (ZSKD)."""
    rows = F.normalize(weight, dim=1)
    cosine = rows @ rows.T
    low = cosine.amin(1, keepdim=True)
    high = cosine.amax(1, keepdim=True)
    return (cosine - low) / (high - low).clamp_min(1e-12)


def dirichlet_targets(similarity: Tensor, classes: Tensor) -> Tensor:
    """Soft labels y ~ Dir(beta C_i + 1e-4), (N, K), from torch's global random state.

    beta is the first of `CONCENTRATIONS` for the first half of the batch and the second for the
    rest, so both scales have their effect.

    Args:
        similarity: (K, K), as `class_similarity` gives it.
        classes: (N,), the i of each label.
    """
    first, second = CONCENTRATIONS
    count = len(classes)
    scale = torch.where(torch.arange(count) < (count + 1) // 2, first, second)
    concentration = scale[:, None] * similarity.cpu()[classes] + 1e-4
    return torch.distributions.Dirichlet(concentration).sample()
