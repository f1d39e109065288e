"""The generator's phase of a round, which makes one batch at a time."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dfkd.augmentation import augmented
from dfkd.composition import Composition
from dfkd.images import ImageSpec
from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.models.counted_teacher import Teacher
from dfkd.models.precision import reduced
from dfkd.optimizers import clip, gradient_norm
from dfkd.synthesizers.protocol import GeneratedBatch, Synthesizer
from dfkd.terms.inputs import TermInputs
from dfkd.training.selection import clean
from dfkd.training.term_weighting import Weighting, gradient_shares


class NotFiniteError(RuntimeError):
    """A loss or a gradient is not a finite number."""


def check_finite(network: str, loss: Tensor, norm: Tensor) -> None:
    """Check loss and gradient before an optimizer step.

    Args:
        network: Name of the network for the message, "generator" or "student".
        loss: A scalar.
        norm: Norm of the gradient, a scalar.

    Raises:
        NotFiniteError: If one of them is not finite.
    """
    for quantity, value in (("loss", loss.item()), ("gradient", norm.item())):
        if not math.isfinite(value):
            raise NotFiniteError(f"the {network}'s {quantity} is {value}")


@dataclass
class GeneratorResult:
    """The result of one batch of the generator's phase.

    Attributes:
        batch: The images of the last step or, for a pool, the best ones of all steps, with the
            teacher's outputs. The tensors have no gradient.
        losses: Value of each term, before wrapper and weight.
        gradient: Norm of the generator's gradient.
        shares: Each term's share of the gradient; empty if not measured.
    """

    batch: LabelledBatch
    losses: dict[str, float]
    gradient: float
    shares: dict[str, float] = field(default_factory=dict)


class GeneratorPhase:
    """Makes batches; the loss uses the teacher and, after the warm-up, also the student.

    Args:
        recipe: The recipe.
        teacher: The teacher; it counts its passes.
        student: The student; None if only a generator is trained.
        synthesizer: Makes the images.
        spec: Specification of the images.
        weighting: The terms with their wrappers and weights.
        rng: Random number generator for all draws.
        student_precision: Data type of the student's arithmetic.

    Attributes:
        after_step: Called after every step.
    """

    def __init__(
        self,
        recipe: Composition,
        teacher: Teacher,
        student: nn.Module | None,
        synthesizer: Synthesizer,
        spec: ImageSpec,
        weighting: Weighting,
        rng: torch.Generator,
        student_precision: torch.dtype,
    ) -> None:
        self.recipe, self.teacher, self.student = recipe, teacher, student
        self.student_precision = student_precision
        self.synthesizer, self.spec = synthesizer, spec
        self.weighting, self.rng = weighting, rng
        self.needs = set(weighting.inputs())
        if recipe.objective.compares_maps and recipe.schedule.fresh == "generator-batch":
            self.needs.add("maps")
        self.after_step: Callable[[], None] = lambda: None

    def run(self, adversarial: bool, with_shares: bool = False) -> GeneratorResult:
        """Make one batch.

        Args:
            adversarial: Whether terms may use the student.
            with_shares: Whether to measure each term's share of the gradient.

        Raises:
            NotFiniteError: If a loss or gradient is not finite; the optimizer step is then not
                taken.
        """
        batch = self.recipe.schedule.batch
        self.synthesizer.begin(batch, self.rng)
        result: GeneratorResult
        for step in range(self.recipe.synthesizer.steps):
            last = step + 1 == self.recipe.synthesizer.steps
            result = self._step(adversarial, with_shares and last)
            self.after_step()
        self.teacher.counts.images += batch
        finished = self.synthesizer.finish()
        self.weighting.end_batch()
        if finished is not None:
            images = finished.images.float()
            result.batch = LabelledBatch(images, self.teacher.plain_pass(images).logits)
        return result

    def _step(self, adversarial: bool, with_shares: bool) -> GeneratorResult:
        images, inputs = self._forward(adversarial)
        maps = [m.detach() for m in inputs.teacher.maps]
        batch = LabelledBatch(images.detach(), inputs.teacher_logits.detach(), maps)
        if self.recipe.selection == "clean-mixture":
            mask = clean(inputs.teacher_logits)
            inputs, batch = inputs.selected(mask), batch.selected(mask)
        values, losses = {}, {}
        for term in self.weighting.active(adversarial):
            values[term.term.name], losses[term.term.name] = term(inputs)
        loss = sum(losses.values(), start=images.new_zeros(()))
        shares = gradient_shares(losses, images) if with_shares else {}
        own, inside_terms = self.synthesizer.parameters(), self.weighting.parameters()
        for parameter in (*own, *inside_terms):
            parameter.grad = None
        loss.backward(inputs=[*own, *inside_terms])
        norm = gradient_norm(own)
        check_finite("generator", loss, norm)
        clip(own, self.recipe.generator, norm)
        self.synthesizer.step(loss)
        self.weighting.step()
        raw = {name: value.item() for name, value in values.items()}
        return GeneratorResult(batch, raw, norm.item(), shares)

    def _forward(self, adversarial: bool) -> tuple[Tensor, TermInputs]:
        """Return images, with one pass of the teacher and, if adversarial, one of the student."""
        generated, images, views = self._generate()
        seen = self.teacher.differentiable_pass(images, self.needs)
        student_logits = None
        if adversarial and "student_logits" in self.needs:
            assert self.student is not None
            self.student.eval()
            with reduced(images.device, self.student_precision):
                student_logits = self.student(images)
            student_logits = student_logits.float()
        labels, latents = (
            None if value is None else torch.cat([value] * views)
            for value in (generated.labels, generated.latents)
        )
        standard = self.spec.to_standard(images)
        return images, TermInputs(standard, seen, student_logits, labels, latents)

    def _generate(self) -> tuple[GeneratedBatch, Tensor, int]:
        with reduced(self.synthesizer.device, self.teacher.precision):
            generated = self.synthesizer.batch()
        standard = self.spec.to_standard(generated.images.float())
        standard = augmented(standard, self.recipe.synthesizer.augment, self.rng)
        images = self.spec.from_standard(standard)
        return generated, images, len(images) // len(generated.images)
