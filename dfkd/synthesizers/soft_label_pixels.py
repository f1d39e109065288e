"""Optimization of pixels for soft labels (ZSKD's data impressions, Nayak et al. 2019)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dfkd.composition import Composition
from dfkd.images import ImageSpec
from dfkd.models.forward_pass import last_linear
from dfkd.synthesizers.pixels import PixelSynthesizer
from dfkd.synthesizers.protocol import SynthesizerContext, balanced_labels

CONCENTRATIONS = (1.0, 0.1)
"""Scales beta of ZSKD's Dirichlet distributions; each is used for half of a batch."""


def build(recipe: Composition, context: SynthesizerContext) -> "SoftLabelPixelSynthesizer":
    """Return the synthesizer of a recipe."""
    return SoftLabelPixelSynthesizer(
        recipe, context.teacher, context.spec, context.classes, context.device
    )


class SoftLabelPixelSynthesizer(PixelSynthesizer):
    """Optimizes uniform noise for soft labels from a Dirichlet distribution.

    Args:
        recipe: The recipe.
        teacher: The teacher's network; its last layer's weights show which classes are similar.
        spec: Specification of the images.
        classes: Number of classes.
        device: The device on which images are made.
    """

    def __init__(
        self,
        recipe: Composition,
        teacher: nn.Module,
        spec: ImageSpec,
        classes: int,
        device: torch.device,
    ) -> None:
        super().__init__(recipe, spec, classes, device)
        self.similarity = class_similarity(last_linear(teacher).weight.detach().float())

    def noise(self, count: int, rng: torch.Generator) -> Tensor:
        """Return initial images (count, C, H, W) on the standard scale, uniform over the range."""
        low, high = self.spec.value_range
        raw = low + (high - low) * torch.rand(count, *self.spec.shape, generator=rng)
        return self.spec.to_standard(self.spec.normalise(raw))

    def targets(self, count: int, rng: torch.Generator) -> Tensor:
        """Return soft labels (count, K), each drawn for one of the balanced class labels."""
        return dirichlet_targets(self.similarity, balanced_labels(count, self.classes, rng))

    def in_range(self, images: Tensor) -> Tensor:
        """Return each image, scaled to fill the value range, as in the published code."""
        raw = self.spec.denormalise(images)
        low, high = self.spec.value_range
        least = raw.amin((1, 2, 3), keepdim=True)
        most = raw.amax((1, 2, 3), keepdim=True)
        scaled = (raw - least) / (most - least).clamp_min(1e-12)
        return self.spec.normalise(low + (high - low) * scaled)


def class_similarity(weight: Tensor) -> Tensor:
    """Return the cosine similarities of a weight's rows, with each row of the result in [0, 1].

    Args:
        weight: Weight (K, F) of the teacher's last layer.

    Returns:
        The similarities (K, K).
    """
    rows = F.normalize(weight, dim=1)
    cosine = rows @ rows.T
    low = cosine.amin(1, keepdim=True)
    high = cosine.amax(1, keepdim=True)
    return (cosine - low) / (high - low).clamp_min(1e-12)


def dirichlet_targets(similarity: Tensor, classes: Tensor) -> Tensor:
    """Return soft labels (N, K), drawn from Dir(beta C_i + 1e-4) with torch's global random state.

    C_i is row i of `similarity`. beta is the first of `CONCENTRATIONS` for the first half of the
    batch and the second one for the rest.

    Args:
        similarity: Class similarities (K, K), from `class_similarity`.
        classes: Class index i of each label (N,).
    """
    first, second = CONCENTRATIONS
    count = len(classes)
    scale = torch.where(torch.arange(count) < (count + 1) // 2, first, second)
    concentration = scale[:, None] * similarity.cpu()[classes] + 1e-4
    return torch.distributions.Dirichlet(concentration).sample()
