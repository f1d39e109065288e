"""A generator that is trained throughout the run and draws images on demand."""

from typing import Any

import torch
from torch import Tensor

from dfkd.composition import Composition, KeptGenerator, MetaGenerator
from dfkd.images import ImageSpec
from dfkd.models.generators import Generator
from dfkd.optimizers import make_optimizer, set_rates
from dfkd.synthesizers.protocol import GeneratedBatch, SynthesizerContext


def build_generator(
    recipe: Composition, spec: ImageSpec, classes: int, embeddings: Tensor | None
) -> Generator:
    """Return the generator of a recipe."""
    synthesizer = recipe.synthesizer
    assert isinstance(synthesizer, KeptGenerator | MetaGenerator)
    return Generator(synthesizer.network, spec, classes, synthesizer.conditioning)


def build(recipe: Composition, context: SynthesizerContext) -> "KeptGeneratorSynthesizer":
    """Return the synthesizer of a recipe."""
    assert isinstance(context.generator, Generator)
    return KeptGeneratorSynthesizer(recipe, context.generator, context.classes, context.device)


class KeptGeneratorSynthesizer:
    """The synthesizer of DAFL and similar methods.

    Args:
        recipe: The recipe.
        generator: The generator, which is trained in place.
        classes: Number of classes.
        device: The generator's device.
    """

    def __init__(
        self, recipe: Composition, generator: Generator, classes: int, device: torch.device
    ) -> None:
        self.generator, self.classes, self.device = generator, classes, device
        self.frozen_norms = recipe.schedule.frozen_norms
        self.factor = 1.0
        self.optimizer = make_optimizer(recipe.generator, self.parameters())
        self._latents, self._labels = torch.empty(0), None

    def draw_latents(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Return latents (count, latent), and random labels for a conditional generator."""
        latents = torch.randn(count, self.generator.latent, generator=rng).to(self.device)
        if not self.generator.conditional:
            return latents, None
        return latents, torch.randint(self.classes, (count,), generator=rng).to(self.device)

    def begin(self, count: int, rng: torch.Generator) -> None:
        """Draw the latents of a batch."""
        self._latents, self._labels = self.draw_latents(count, rng)  # type: ignore[assignment]

    def batch(self) -> GeneratedBatch:
        """Return images of the current latents, drawn in train mode."""
        self.generator.train()
        images = self.generator(self._latents, self._labels)
        return GeneratedBatch(images, self._labels, self._latents)

    def parameters(self) -> list[Tensor]:
        """Return the generator's parameters."""
        return [p for p in self.generator.parameters() if p.requires_grad]

    def step(self, loss: Tensor) -> None:
        """Take one step of the generator."""
        set_rates(self.optimizer, self.factor)
        self.optimizer.step()

    def finish(self) -> None:
        """Return nothing for a pool, because images are drawn on demand."""

    @torch.no_grad()
    def draw(
        self, count: int, rng: torch.Generator, labels: Tensor | None = None
    ) -> GeneratedBatch:
        """Return `count` new images, without gradient.

        Args:
            count: Number of images.
            rng: Random number generator.
            labels: (count,) classes for a conditional generator; None for random ones.
        """
        if labels is None:
            latents, labels = self.draw_latents(count, rng)
        else:
            latents = torch.randn(count, self.generator.latent, generator=rng).to(self.device)
            labels = labels.to(self.device)
        self.generator.train(not self.frozen_norms)
        return GeneratedBatch(self.generator(latents, labels), labels, latents)

    @torch.no_grad()
    def draw_again(self) -> GeneratedBatch:
        """Return images that the current generator draws from the latents of the last `begin`."""
        self.generator.train(not self.frozen_norms)
        images = self.generator(self._latents, self._labels)
        return GeneratedBatch(images, self._labels, self._latents)

    def state_dict(self) -> dict[str, Any]:
        """Return generator and optimizer for a checkpoint."""
        return {
            "generator": self.generator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore generator and optimizer."""
        self.generator.load_state_dict(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])
