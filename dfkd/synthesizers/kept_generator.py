"""One generator for the whole run: trained a step at a time, drawn from at will."""

from typing import Any

import torch
from torch import Tensor

from dfkd.models.generators import Generator
from dfkd.recipe import Recipe
from dfkd.synthesizers.protocol import Draft
from dfkd.training.optimizers import make_optimizer, set_rates


class KeptGeneratorSynthesizer:
    """The DAFL family's synthesizer, conditional or not.

    Args:
        recipe: The composition.
        generator: Trained in place.
        classes: Number of classes.
        device: Where the generator is.
    """

    def __init__(
        self, recipe: Recipe, generator: Generator, classes: int, device: torch.device
    ) -> None:
        self.generator, self.classes, self.device = generator, classes, device
        self.frozen_norms = recipe.schedule.frozen_norms
        self.factor = 1.0
        self.optimizer = make_optimizer(recipe.generator, self.parameters())
        self._latents, self._labels = torch.empty(0), None

    def choose(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Latents, and uniform labels for a conditional generator."""
        latents = torch.randn(count, self.generator.latent, generator=rng).to(self.device)
        if not self.generator.conditional:
            return latents, None
        return latents, torch.randint(self.classes, (count,), generator=rng).to(self.device)

    def begin(self, count: int, rng: torch.Generator) -> None:
        """Choose the latents of a batch."""
        self._latents, self._labels = self.choose(count, rng)  # type: ignore[assignment]

    def draft(self) -> Draft:
        """Draw the chosen latents, in train mode."""
        self.generator.train()
        images = self.generator(self._latents, self._labels)
        return Draft(images, self._labels, self._latents)

    def parameters(self) -> list[Tensor]:
        """The generator's."""
        return [p for p in self.generator.parameters() if p.requires_grad]

    def step(self, loss: Tensor) -> None:
        """One step of the generator."""
        set_rates(self.optimizer, self.factor)
        self.optimizer.step()

    def finish(self) -> None:
        """Nothing is left behind: images are drawn when they are wanted."""

    @torch.no_grad()
    def fresh(self, count: int, rng: torch.Generator) -> Draft:
        """Draw new images without gradient."""
        latents, labels = self.choose(count, rng)
        self.generator.train(not self.frozen_norms)
        return Draft(self.generator(latents, labels), labels, latents)

    @torch.no_grad()
    def again(self) -> Draft:
        """Draw the latents last begun with the generator as it is now, without gradient."""
        self.generator.train(not self.frozen_norms)
        images = self.generator(self._latents, self._labels)
        return Draft(images, self._labels, self._latents)

    def state_dict(self) -> dict[str, Any]:
        """The generator and its optimiser."""
        return {
            "generator": self.generator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self.generator.load_state_dict(state["generator"])
        self.optimizer.load_state_dict(state["optimizer"])
