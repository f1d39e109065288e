"""Generative replay: an autoencoder models all earlier images (PRE-DFKD, Binici et al. 2022).

Its size does not grow with the run. It learns from the present batch and from its own samples, so
that it does not forget either. Its loss compares pixels and the teacher's logits, because small
changes can alter the class of a synthetic image.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dfkd.composition import Composition, KeptGenerator, VaeReplay
from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.memory.protocol import MemoryContext, MemoryDefaults
from dfkd.models.counted_teacher import Teacher
from dfkd.models.vae import Vae
from dfkd.optimizers import set_rates
from dfkd.terms.certainty import certainty, class_balance

TUNING_LR = 0.02
"""Adam's learning rate for the one step on the latents."""

BALANCE = 5.0
"""Weight of the class balance (base 10) in that step, as in the generator's loss."""

PRIOR = 1e-5
"""Weight of the autoencoder's prior."""


def build(recipe: Composition, context: MemoryContext) -> "VaeMemory":
    """Return the memory of a recipe; its decoder has the generator's trunk and width."""
    memory, synthesizer = recipe.memory, recipe.synthesizer
    assert isinstance(memory, VaeReplay) and isinstance(synthesizer, KeptGenerator)
    network = synthesizer.network
    vae = Vae(context.spec, memory.latent, network.width, network.trunk).to(context.device)
    return VaeMemory(vae, context.teacher, recipe.replayed, memory.lr, memory.steps)


class VaeMemory(MemoryDefaults):
    """PRE-DFKD's memory.

    Args:
        vae: Trained in place.
        teacher: Answers reconstructions and samples.
        size: Own samples in a training step of the autoencoder.
        lr: Adam's learning rate.
        steps: Student steps of a round in which it is trained.
    """

    learns = True

    def __init__(self, vae: Vae, teacher: Teacher, size: int, lr: float, steps: int) -> None:
        self.vae, self.teacher, self.size, self.steps = vae, teacher, size, steps
        self.optimizer = torch.optim.Adam(vae.parameters(), lr)
        self.updates = 0

    def observe(self, batch: LabelledBatch, step: int, rng: torch.Generator) -> None:
        """Learn from half of the student's present batch and from own samples."""
        if step >= self.steps:
            return
        half = max(1, len(batch.images) // 2)
        targets = LabelledBatch(batch.images[:half], batch.logits[:half])
        samples = self.sample(self.size, rng)
        if samples is not None:
            targets = targets.joined(samples)
        self.vae.train()
        drawn, mean, log_variance = self.vae(targets.images)
        logits = self.teacher.differentiable_pass(drawn).logits
        loss = vae_loss(drawn, logits, targets, mean, log_variance)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        set_rates(self.optimizer, self.factor)
        self.optimizer.step()
        self.updates += 1

    def sample(self, count: int, rng: torch.Generator) -> LabelledBatch | None:
        """Return `count` tuned samples; None before the first update.

        Before decoding, the latents take one step towards certain, balanced predictions and their
        prior.
        """
        if self.updates == 0:
            return None
        device = self.vae.mean.weight.device
        latents = torch.randn(count, self.vae.latent, generator=rng).to(device).requires_grad_()
        self.vae.decoder.train()
        tuner = torch.optim.Adam([latents], TUNING_LR)
        logits = self.teacher.differentiable_pass(self.vae.decoder(latents)).logits
        tuning_loss(logits, latents).backward(inputs=[latents])
        tuner.step()
        with torch.no_grad():
            images = self.vae.decoder(latents)
        self.teacher.counts.images += count
        return LabelledBatch(images, self.teacher.plain_pass(images).logits)

    def state_dict(self) -> dict[str, Any]:
        """Return autoencoder, optimizer and number of updates for a checkpoint."""
        return {
            "vae": self.vae.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Restore autoencoder, optimizer and number of updates."""
        self.vae.load_state_dict(state["vae"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.updates = state["updates"]


def vae_loss(
    drawn: Tensor, logits: Tensor, targets: LabelledBatch, mean: Tensor, log_variance: Tensor
) -> Tensor:
    """Return L1 on pixels + L1 on the teacher's logits + 1e-5 KL to the prior, summed over latents.

    Args:
        drawn: (N, C, H, W), the reconstructions.
        logits: (N, K), the teacher's for `drawn`.
        targets: The N images with the teacher's logits.
        mean: (N, latent), of the latents.
        log_variance: (N, latent), of the latents.
    """
    prior = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
    return F.l1_loss(drawn, targets.images) + F.l1_loss(logits, targets.logits) + PRIOR * prior


def tuning_loss(logits: Tensor, latents: Tensor) -> Tensor:
    """Return the loss of the step on the latents: certainty, balance, and mean 0, variance 1.

    Args:
        logits: (N, K), the teacher's for the decoded latents.
        latents: (N, latent).
    """
    spread = (latents.var(0) - 1).square().mean() if len(latents) > 1 else latents.new_zeros(())
    centre = latents.mean(0).square().mean()
    return certainty(logits) + BALANCE * class_balance(logits, base=10) + spread + centre
