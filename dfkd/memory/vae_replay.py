"""Generative replay: a VAE models all earlier images (PRE-DFKD, Binici et al. 2022).

Its size does not grow with the run. It learns from the present batch and from its own samples, so
that it rehearses itself too, and it is judged on pixels and on the teacher's answers, because
synthetic images lose their class by small changes.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dfkd.memory.labelled_batch import Lesson
from dfkd.models.forward_pass import Look
from dfkd.models.teacher import Teacher
from dfkd.models.vae import Vae
from dfkd.synthesizers.synthesis import Synthesis
from dfkd.terms.certainty import certainty, class_balance
from dfkd.training.optimizers import set_rates

TUNING_LR = 0.02
"""Adam's learning rate for the one step on the latents."""

BALANCE = 5.0
"""Weight of the class balance (base 10) in that step, as in the generator's loss."""

PRIOR = 1e-5
"""Weight of the VAE's prior."""


class VaeMemory:
    """PRE-DFKD's memory.

    Args:
        vae: Trained in place.
        teacher: Judges reconstructions and samples.
        size: Samples the VAE rehearses itself with.
        lr: Adam's learning rate.
        steps: Student steps of a round in which it learns.
    """

    learns = True
    factor = 1.0

    def __init__(self, vae: Vae, teacher: Teacher, size: int, lr: float, steps: int) -> None:
        self.vae, self.teacher, self.size, self.steps = vae, teacher, size, steps
        self.optimizer = torch.optim.Adam(vae.parameters(), lr)
        self.updates = 0

    def remember(self, lesson: Lesson) -> None:
        """The VAE learns while the student does."""

    def attend(self, lesson: Lesson, step: int, rng: torch.Generator) -> None:
        """Learn from half of the student's present batch and from own samples."""
        if step >= self.steps:
            return
        half = max(1, len(lesson.images) // 2)
        targets = Lesson(lesson.images[:half], lesson.logits[:half])
        rehearsal = self.recall(self.size, rng)
        if rehearsal is not None:
            targets = targets.joined(rehearsal)
        self.vae.train()
        drawn, mean, log_variance = self.vae(targets.images)
        answers = self.teacher.judge(drawn).logits
        loss = vae_loss(drawn, answers, targets, mean, log_variance)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        set_rates(self.optimizer, self.factor)
        self.optimizer.step()
        self.updates += 1

    def close_round(self, last: Lesson | None) -> None:
        """Nothing waits for the end of a round."""

    def recall(self, count: int, rng: torch.Generator) -> Lesson | None:
        """Draw `count` tuned samples; None before the first update.

        The latents take one step towards sure, balanced answers and their prior before decoding.
        """
        if self.updates == 0:
            return None
        device = self.vae.mean.weight.device
        latents = torch.randn(count, self.vae.latent, generator=rng).to(device).requires_grad_()
        self.vae.decoder.train()
        tuner = torch.optim.Adam([latents], TUNING_LR)
        images = self.vae.decoder(latents)
        tuning_loss(self.teacher.judge(images), images, latents).backward(inputs=[latents])
        tuner.step()
        with torch.no_grad():
            images = self.vae.decoder(latents)
        self.teacher.counts.images += count
        return Lesson(images, self.teacher.answer(images).logits)

    def mark(self) -> None:
        """A roll-back restores the whole state."""

    def forget(self) -> None:
        """A roll-back restores the whole state."""

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on, for a checkpoint."""
        return {
            "vae": self.vae.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any], device: torch.device) -> None:
        """Take up a state."""
        self.vae.load_state_dict(state["vae"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.updates = state["updates"]


def vae_loss(
    drawn: Tensor, answers: Tensor, targets: Lesson, mean: Tensor, log_variance: Tensor
) -> Tensor:
    """L1 on pixels + L1 on the teacher's logits + 1e-5 KL to the prior, summed over latents."""
    prior = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
    return F.l1_loss(drawn, targets.images) + F.l1_loss(answers, targets.logits) + PRIOR * prior


def tuning_loss(seen: Look, images: Tensor, latents: Tensor) -> Tensor:
    """What the latents' one step minimises: certainty, balance, and mean 0, variance 1."""
    synthesis = Synthesis(images, seen)
    spread = (latents.var(0) - 1).square().mean() if len(latents) > 1 else latents.new_zeros(())
    centre = latents.mean(0).square().mean()
    return certainty(synthesis) + BALANCE * class_balance(synthesis, base=10) + spread + centre
