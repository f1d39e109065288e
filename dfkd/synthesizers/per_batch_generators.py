"""One batch at a time by a generator that is bent towards it; the best draft goes to the pool."""

import copy
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from dfkd.images import ImageSpec
from dfkd.models.generators import Generator, NoisyLayerGenerator
from dfkd.recipe import Recipe
from dfkd.synthesizers.protocol import Draft, balanced_labels
from dfkd.training.optimizers import make_optimizer


class PerBatchSynthesizer(ABC):
    """What the three kinds share: labels chosen in turn, the best draft by its loss.

    Args:
        recipe: The composition.
        classes: Number of classes.
        device: Where images are made.
    """

    def __init__(self, recipe: Recipe, classes: int, device: torch.device) -> None:
        self.recipe, self.classes, self.device = recipe, classes, device
        self.factor = 1.0
        self.labels, self.latents = torch.empty(0), torch.empty(0)
        self.optimizer: torch.optim.Optimizer
        self._draft: Draft | None = None
        self._best: tuple[float, Draft] | None = None

    @abstractmethod
    def network(self) -> nn.Module:
        """What draws the present batch."""

    def start(self, count: int, rng: torch.Generator) -> None:
        """Choose labels and latents, and make the batch's optimiser."""
        synthesizer = self.recipe.synthesizer
        self.labels = balanced_labels(count, self.classes, rng).to(self.device)
        latents = torch.randn(count, synthesizer.network.latent, generator=rng).to(self.device)
        latent_lr = getattr(synthesizer, "latent_lr", 0.0)
        self.latents = latents.requires_grad_(latent_lr > 0)
        self._best, self._draft = None, None
        groups: list[dict[str, Any]] = [{"params": list(self.network().parameters())}]
        if latent_lr:
            groups.append({"params": [self.latents], "lr": latent_lr * self.factor})
        rate = self.recipe.generator.lr * self.factor
        self.optimizer = make_optimizer(self.recipe.generator, groups, rate)

    def draw(self) -> Tensor:
        """Images of the present labels and latents."""
        network = self.network().train()
        told = self.labels if self.recipe.synthesizer.conditioning else None
        images: Tensor = network(self.latents, told)
        return images

    def draft(self) -> Draft:
        """The batch as it stands."""
        self._draft = Draft(self.draw(), self.labels, self.latents)
        return self._draft

    def parameters(self) -> list[Tensor]:
        """The network's, and the latents when they learn."""
        return [p for group in self.optimizer.param_groups for p in group["params"]]

    def step(self, loss: Tensor) -> None:
        """Keep the draft if it is the best so far, then one step."""
        assert self._draft is not None
        value = loss.item()
        if self._best is None or value < self._best[0]:
            images, latents = self._draft.images.detach(), self.latents.detach().clone()
            self._best = (value, Draft(images, self.labels, latents))
        self.optimizer.step()

    def finish(self) -> Draft:
        """The best draft."""
        assert self._best is not None
        best = self._best[1]
        self._best, self._draft = None, None
        return best


class FreshGeneratorSynthesizer(PerBatchSynthesizer):
    """CMI: a generator is born for each batch and learns together with the latents."""

    def __init__(self, recipe: Recipe, spec: ImageSpec, classes: int, device: torch.device) -> None:
        super().__init__(recipe, classes, device)
        self.spec = spec
        self._generator: Generator

    def network(self) -> nn.Module:
        """The batch's own generator."""
        return self._generator

    def begin(self, count: int, rng: torch.Generator) -> None:
        """A new generator, from torch's global random state."""
        synthesizer = self.recipe.synthesizer
        self._generator = Generator(
            synthesizer.network, self.spec, self.classes, synthesizer.conditioning
        )
        self._generator.to(self.device)
        self.start(count, rng)

    def state_dict(self) -> dict[str, Any]:
        """Nothing lasts beyond a batch."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""


class MetaGeneratorSynthesizer(PerBatchSynthesizer):
    """Fast-Datafree: a clone of the generator learns the batch, the generator learns to be cloned.

    First-order MAML: the clone's gradients are summed over its steps and the generator takes one
    Adam step along the sum, at `steps` times the clone's learning rate.

    Args:
        recipe: The composition.
        generator: Meta-learnt in place.
        classes: Number of classes.
        device: Where the generator is.
        renew_every: Batches after which its first layers are drawn anew; 0 never.
    """

    def __init__(
        self,
        recipe: Recipe,
        generator: Generator,
        classes: int,
        device: torch.device,
        renew_every: int = 0,
    ) -> None:
        super().__init__(recipe, classes, device)
        self.generator, self.renew_every = generator, renew_every
        self.outer = make_optimizer(recipe.generator, list(generator.parameters()))
        self.batches = 0
        self._clone: Generator

    def network(self) -> nn.Module:
        """The clone."""
        return self._clone

    def begin(self, count: int, rng: torch.Generator) -> None:
        """Clone the generator; now and then its first layers are drawn anew before."""
        if self.renew_every and self.batches and self.batches % self.renew_every == 0:
            self.generator.project.reset_parameters()
            self.generator.normalise.reset_parameters()
        self._clone = copy.deepcopy(self.generator)
        self.outer.zero_grad(set_to_none=True)
        self.start(count, rng)

    def step(self, loss: Tensor) -> None:
        """One step of the clone; its gradients are added to the generator's."""
        pairs = zip(self.generator.parameters(), self._clone.parameters(), strict=True)
        for own, cloned in pairs:
            if cloned.grad is not None:
                own.grad = cloned.grad.clone() if own.grad is None else own.grad + cloned.grad
        super().step(loss)

    def finish(self) -> Draft:
        """The generator's own step, and the clone's best draft."""
        for group in self.outer.param_groups:
            rate = self.recipe.generator.lr * self.recipe.synthesizer.steps
            group["lr"] = rate * self.factor
        self.outer.step()
        self.batches += 1
        return super().finish()

    def state_dict(self) -> dict[str, Any]:
        """The generator, its optimiser and its age."""
        return {
            "generator": self.generator.state_dict(),
            "optimizer": self.outer.state_dict(),
            "batches": self.batches,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self.generator.load_state_dict(state["generator"])
        self.outer.load_state_dict(state["optimizer"])
        self.batches = state["batches"]


class NoisyLayerSynthesizer(PerBatchSynthesizer):
    """NAYER: the first linear layer is drawn anew for every batch and learns with the rest.

    Args:
        recipe: The composition.
        generator: Goes on from batch to batch.
        classes: Number of classes.
        device: Where the generator is.
        renew_every: Batches after which all of it is drawn anew; 0 never.
    """

    def __init__(
        self,
        recipe: Recipe,
        generator: NoisyLayerGenerator,
        classes: int,
        device: torch.device,
        renew_every: int = 0,
    ) -> None:
        super().__init__(recipe, classes, device)
        self.generator, self.renew_every, self.batches = generator, renew_every, 0

    def network(self) -> nn.Module:
        """The generator."""
        return self.generator

    def draw(self) -> Tensor:
        """An image of each label."""
        self.generator.train()
        images: Tensor = self.generator(self.labels)
        return images

    def begin(self, count: int, rng: torch.Generator) -> None:
        """Draw the noisy layers, and now and then the whole generator, anew."""
        if self.renew_every and self.batches and self.batches % self.renew_every == 0:
            for layer in self.generator.modules():
                reset = getattr(layer, "reset_parameters", None)
                if callable(reset):
                    reset()
        self.generator.redraw()
        self.batches += 1
        self.start(count, rng)

    def state_dict(self) -> dict[str, Any]:
        """The generator and its age; the optimiser lives as long as a batch."""
        return {"generator": self.generator.state_dict(), "batches": self.batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self.generator.load_state_dict(state["generator"])
        self.batches = state["batches"]
