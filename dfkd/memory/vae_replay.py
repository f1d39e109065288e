"""Generative replay: an autoencoder models all earlier images (PRE-DFKD, Binici et al. 2022).

The size of the memory does not grow during a run. The autoencoder is trained on the current batch
and on its own samples, so that it does not forget earlier images. Its loss compares pixels and also
the teacher's logits, because small changes of the pixels can change the class of an image.
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
"""Adam's learning rate for the single optimization step on the latents of samples."""

BALANCE = 5.0
"""Weight of the class balance (base-10 logarithms) in that step, as in the generator's loss."""

PRIOR = 1e-5
"""Weight of the KL divergence to the prior in the autoencoder's loss."""


def build(recipe: Composition, context: MemoryContext) -> "VaeMemory":
    """Return the memory of a recipe; its decoder has the generator's trunk and width."""
    memory, synthesizer = recipe.memory, recipe.synthesizer
    assert isinstance(memory, VaeReplay) and isinstance(synthesizer, KeptGenerator)
    network = synthesizer.network
    vae = Vae(context.spec, memory.latent, network.width, network.trunk).to(context.device)
    return VaeMemory(vae, context.teacher, recipe.replayed, memory.lr, memory.steps)


class VaeMemory(MemoryDefaults):
    """The memory of PRE-DFKD.

    Args:
        vae: The autoencoder, which is trained in place.
        teacher: The teacher, which computes the logits of reconstructions and samples.
        size: Number of the autoencoder's own samples in each of its training steps.
        lr: Adam's learning rate for the autoencoder.
        steps: The autoencoder is trained in the first `steps` student steps of each round.
    """

    learns = True

    def __init__(self, vae: Vae, teacher: Teacher, size: int, lr: float, steps: int) -> None:
        self.vae, self.teacher, self.size, self.steps = vae, teacher, size, steps
        self.optimizer = torch.optim.Adam(vae.parameters(), lr)
        self.updates = 0

    def observe(self, batch: LabelledBatch, step: int, rng: torch.Generator) -> None:
        """Train the autoencoder on half of the new batch and on its own samples."""
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
        to_standard = self.vae.decoder.spec.to_standard
        standard_targets = LabelledBatch(to_standard(targets.images), targets.logits)
        loss = vae_loss(to_standard(drawn), logits, standard_targets, mean, log_variance)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        set_rates(self.optimizer, self.factor)
        self.optimizer.step()
        self.updates += 1

    def sample(self, count: int, rng: torch.Generator) -> LabelledBatch | None:
        """Return `count` tuned samples; None before the first update.

        Before the latents are decoded, one optimization step changes them: towards confident and
        class-balanced predictions of the teacher, and towards their prior.
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
    """Return the loss of the autoencoder.

    It is the L1 distance of the pixels, plus the L1 distance of the teacher's logits, plus 1e-5
    times the KL divergence to the prior. The divergence is summed over the latent dimensions.

    Args:
        drawn: The reconstructions (N, C, H, W) on the standard scale.
        logits: The teacher's logits (N, K) for `drawn`.
        targets: The N images on the standard scale, with the teacher's logits.
        mean: Means of the latents (N, latent).
        log_variance: Logarithms of the variances of the latents (N, latent).
    """
    prior = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
    return F.l1_loss(drawn, targets.images) + F.l1_loss(logits, targets.logits) + PRIOR * prior


def tuning_loss(logits: Tensor, latents: Tensor) -> Tensor:
    """Return the loss of the optimization step on the latents.

    It is small for confident predictions, balanced classes, and latents of mean 0 and variance 1.

    Args:
        logits: The teacher's logits (N, K) for the decoded latents.
        latents: Latent vectors (N, latent).
    """
    spread = (latents.var(0) - 1).square().mean() if len(latents) > 1 else latents.new_zeros(())
    centre = latents.mean(0).square().mean()
    return certainty(logits) + BALANCE * class_balance(logits, base=10) + spread + centre
