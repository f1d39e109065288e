"""CMI's synthesizer: a new generator for each batch (Fang et al. 2021)."""

from typing import Any

import torch
from torch import Tensor, nn

from dfkd.composition import Composition, FreshGenerator
from dfkd.images import ImageSpec
from dfkd.models.generators import Generator
from dfkd.synthesizers.per_batch import PerBatchSynthesizer
from dfkd.synthesizers.protocol import SynthesizerContext


def build(recipe: Composition, context: SynthesizerContext) -> "FreshGeneratorSynthesizer":
    """Return the synthesizer of a recipe."""
    return FreshGeneratorSynthesizer(recipe, context.spec, context.classes, context.device)


class FreshGeneratorSynthesizer(PerBatchSynthesizer):
    """A new generator for each batch, optimized together with the latents.

    Args:
        recipe: The recipe.
        spec: Specification of the images.
        classes: Number of classes.
        device: The device on which images are made.
    """

    def __init__(
        self, recipe: Composition, spec: ImageSpec, classes: int, device: torch.device
    ) -> None:
        described = recipe.synthesizer
        assert isinstance(described, FreshGenerator)
        latent = described.network.latent
        super().__init__(recipe, classes, device, latent, described.latent_lr)
        self.described, self.spec = described, spec
        self._generator: Generator

    def network(self) -> nn.Module:
        """Return the generator of the current batch."""
        return self._generator

    def draw(self) -> Tensor:
        """Return images (N, C, H, W) for the current labels and latents."""
        labels = self.labels if self.described.conditioning else None
        images: Tensor = self._generator.train()(self.latents, labels)
        return images

    def begin(self, count: int, rng: torch.Generator) -> None:
        """Start a batch with a new generator, initialized from torch's global random state."""
        described = self.described
        self._generator = Generator(
            described.network, self.spec, self.classes, described.conditioning
        )
        self._generator.to(self.device)
        self.start(count, rng)

    def state_dict(self) -> dict[str, Any]:
        """Return an empty state, because nothing is kept from one batch to the next."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore nothing."""
