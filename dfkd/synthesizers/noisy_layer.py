"""NAYER's synthesizer: the generator's first layer is initialized again for every batch."""

from typing import Any

import torch
from torch import Tensor, nn

from dfkd.composition import Composition, NoisyLayer
from dfkd.images import ImageSpec
from dfkd.models.noisy_layer_generator import NoisyLayerGenerator
from dfkd.synthesizers.per_batch import PerBatchSynthesizer
from dfkd.synthesizers.protocol import SynthesizerContext

EMBEDDING = 512
"""Size of random label embeddings. It is that of CLIP's text encoder, which NAYER uses."""


def build_generator(
    recipe: Composition, spec: ImageSpec, classes: int, embeddings: Tensor | None
) -> NoisyLayerGenerator:
    """Return the generator of a recipe, with random label embeddings if none are given."""
    described = recipe.synthesizer
    assert isinstance(described, NoisyLayer)
    rows = torch.randn(classes, EMBEDDING) if embeddings is None else embeddings
    # With a noisy layer for each `classes` images, no two images share both class and layer.
    groups = -(-recipe.schedule.batch // classes)
    return NoisyLayerGenerator(described.network, spec, rows, groups)


def build(recipe: Composition, context: SynthesizerContext) -> "NoisyLayerSynthesizer":
    """Return the synthesizer of a recipe."""
    assert isinstance(context.generator, NoisyLayerGenerator)
    return NoisyLayerSynthesizer(recipe, context.generator, context.classes, context.device)


class NoisyLayerSynthesizer(PerBatchSynthesizer):
    """A generator for the whole run, with a new first layer for each batch (Tran et al. 2024).

    Args:
        recipe: The recipe.
        generator: The generator, which is trained in place.
        classes: Number of classes.
        device: The generator's device.
    """

    def __init__(
        self,
        recipe: Composition,
        generator: NoisyLayerGenerator,
        classes: int,
        device: torch.device,
    ) -> None:
        described = recipe.synthesizer
        assert isinstance(described, NoisyLayer)
        super().__init__(recipe, classes, device, described.network.latent)
        self.described, self.generator, self.batches = described, generator, 0

    def network(self) -> nn.Module:
        """Return the generator."""
        return self.generator

    def draw(self) -> Tensor:
        """Return images (N, C, H, W), one for each label."""
        self.generator.train()
        images: Tensor = self.generator(self.labels)
        return images

    def begin(self, count: int, rng: torch.Generator) -> None:
        """Initialize the noisy layers; every `renew_every` batches, also the other layers."""
        renew_every = self.described.renew_every
        if renew_every and self.batches and self.batches % renew_every == 0:
            for layer in self.generator.modules():
                reset = getattr(layer, "reset_parameters", None)
                if callable(reset):
                    reset()
        self.generator.redraw()
        self.batches += 1
        self.start(count, rng)

    def state_dict(self) -> dict[str, Any]:
        """Return generator and number of batches; each batch has a new optimizer."""
        return {"generator": self.generator.state_dict(), "batches": self.batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore generator and number of batches."""
        self.generator.load_state_dict(state["generator"])
        self.batches = state["batches"]
