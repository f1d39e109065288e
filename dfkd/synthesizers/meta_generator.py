"""Fast-Datafree's synthesizer: it optimizes a copy of a meta-learned generator for each batch."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from dfkd.composition import Composition, MetaGenerator
from dfkd.models.generators import Generator
from dfkd.optimizers import make_optimizer
from dfkd.synthesizers.per_batch import PerBatchSynthesizer
from dfkd.synthesizers.protocol import GeneratedBatch, SynthesizerContext


def build(recipe: Composition, context: SynthesizerContext) -> "MetaGeneratorSynthesizer":
    """Return the synthesizer of a recipe."""
    assert isinstance(context.generator, Generator)
    return MetaGeneratorSynthesizer(recipe, context.generator, context.classes, context.device)


class MetaGeneratorSynthesizer(PerBatchSynthesizer):
    """Optimizes a copy of the generator for each batch (Fang et al. 2022).

    The meta-learning method is first-order MAML. The gradients of the copy are summed over its
    steps. The generator then takes one Adam step with this sum as gradient and `steps` times the
    copy's learning rate.

    Args:
        recipe: The recipe.
        generator: The meta-learned generator, which is trained in place.
        classes: Number of classes.
        device: The generator's device.
    """

    def __init__(
        self, recipe: Composition, generator: Generator, classes: int, device: torch.device
    ) -> None:
        described = recipe.synthesizer
        assert isinstance(described, MetaGenerator)
        latent = described.network.latent
        super().__init__(recipe, classes, device, latent, described.latent_lr)
        self.described, self.generator = described, generator
        self.outer = make_optimizer(recipe.generator, list(generator.parameters()))
        self.batches = 0
        self._copy: Generator

    def network(self) -> nn.Module:
        """Return the copy for the current batch."""
        return self._copy

    def draw(self) -> Tensor:
        """Return images (N, C, H, W) for the current labels and latents."""
        labels = self.labels if self.described.conditioning else None
        images: Tensor = self._copy.train()(self.latents, labels)
        return images

    def begin(self, count: int, rng: torch.Generator) -> None:
        """Copy the generator for a new batch.

        Every `renew_every` batches, its first layers are initialized again before the copy.
        """
        renew_every = self.described.renew_every
        if renew_every and self.batches and self.batches % renew_every == 0:
            self.generator.project.reset_parameters()
            self.generator.normalise.reset_parameters()
        self._copy = copy.deepcopy(self.generator)
        self.outer.zero_grad(set_to_none=True)
        self.start(count, rng)

    def step(self, loss: Tensor) -> None:
        """Add the copy's gradients to the generator's, then take one step of the copy."""
        pairs = zip(self.generator.parameters(), self._copy.parameters(), strict=True)
        for own, copied in pairs:
            if copied.grad is not None:
                own.grad = copied.grad.clone() if own.grad is None else own.grad + copied.grad
        super().step(loss)

    def finish(self) -> GeneratedBatch:
        """Take one step of the meta-learned generator and return the copy's best batch."""
        for group in self.outer.param_groups:
            rate = self.recipe.generator.lr * self.described.steps
            group["lr"] = rate * self.factor
        self.outer.step()
        self.batches += 1
        return super().finish()

    def state_dict(self) -> dict[str, Any]:
        """Return generator, optimizer and number of batches for a checkpoint."""
        return {
            "generator": self.generator.state_dict(),
            "optimizer": self.outer.state_dict(),
            "batches": self.batches,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore generator, optimizer and number of batches."""
        self.generator.load_state_dict(state["generator"])
        self.outer.load_state_dict(state["optimizer"])
        self.batches = state["batches"]
