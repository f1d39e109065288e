"""The generator's half of a round: one synthesised batch."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dfkd.memory.labelled_batch import Lesson
from dfkd.models.teacher import Teacher, reduced
from dfkd.recipe import Recipe
from dfkd.synthesizers import Draft, Synthesizer
from dfkd.synthesizers.augment import augmented
from dfkd.synthesizers.synthesis import Synthesis
from dfkd.training.optimizers import clip, gradient_norm
from dfkd.training.selection import clean
from dfkd.training.term_weighting import Weighting, gradient_shares


class NotFiniteError(RuntimeError):
    """A loss or a gradient stopped being a finite number."""


def check_finite(who: str, loss: Tensor, norm: Tensor) -> None:
    """Stop before an optimiser takes up what is not a number.

    Raises:
        NotFiniteError: Names what is not finite.
    """
    for what, value in (("loss", loss.item()), ("gradient", norm.item())):
        if not math.isfinite(value):
            raise NotFiniteError(f"the {who}'s {what} is {value}")


@dataclass
class Synthesised:
    """What one batch of the generator's phase leaves.

    Attributes:
        lesson: The last draft's images with the teacher's answers, without gradient.
        losses: Raw value of each term.
        gradient: Norm of the generator's gradient.
        shares: Each term's share of the gradient, when asked for.
    """

    lesson: Lesson
    losses: dict[str, float]
    gradient: float
    shares: dict[str, float] = field(default_factory=dict)


class GeneratorPhase:
    """Makes batches against the teacher and, when it is there to be asked, the student.

    Args:
        recipe: The composition.
        teacher: Counted.
        student: None when there is none.
        synthesizer: Makes the images.
        weighting: The terms.
        rng: Of every draw.
    """

    def __init__(
        self,
        recipe: Recipe,
        teacher: Teacher,
        student: nn.Module | None,
        synthesizer: Synthesizer,
        weighting: Weighting,
        rng: torch.Generator,
    ) -> None:
        self.recipe, self.teacher, self.student = recipe, teacher, student
        self.synthesizer, self.weighting, self.rng = synthesizer, weighting, rng
        self.needs = set(weighting.needs())
        if recipe.objective.compares_maps and recipe.schedule.fresh == "generator-batch":
            self.needs.add("maps")

    def run(self, adversarial: bool, with_shares: bool = False) -> Synthesised:
        """One batch.

        Args:
            adversarial: The student is asked too.
            with_shares: Also measure each term's share of the gradient.

        Raises:
            NotFiniteError: Before the generator takes it up.
        """
        batch = self.recipe.schedule.batch
        self.synthesizer.begin(batch, self.rng)
        made: Synthesised
        for step in range(self.recipe.synthesizer.steps):
            last = step + 1 == self.recipe.synthesizer.steps
            made = self._step(adversarial, with_shares and last)
        self.teacher.counts.images += batch
        done = self.synthesizer.finish()
        self.weighting.settle()
        if done is not None:
            images = done.images.float()
            made.lesson = Lesson(images, self.teacher.answer(images).logits)
        return made

    def _step(self, adversarial: bool, with_shares: bool) -> Synthesised:
        synthesis = self._look(adversarial)
        lesson = _lesson(synthesis)
        if self.recipe.selection == "clean-mixture":
            mask = clean(synthesis.teacher.logits)
            synthesis, lesson = synthesis.kept(mask), lesson.kept(mask)
        values, parts = {}, {}
        for term in self.weighting.active(adversarial):
            values[term.term.name], parts[term.term.name] = term(synthesis)
        loss = sum(parts.values(), start=synthesis.images.new_zeros(()))
        shares = gradient_shares(parts, synthesis.images) if with_shares else {}
        own, others = self.synthesizer.parameters(), self.weighting.parameters()
        for parameter in (*own, *others):
            parameter.grad = None
        loss.backward(inputs=[*own, *others])
        norm = gradient_norm(own)
        check_finite("generator", loss, norm)
        clip(own, self.recipe.generator, norm)
        self.synthesizer.step(loss)
        self.weighting.step()
        raw = {name: value.item() for name, value in values.items()}
        return Synthesised(lesson, raw, norm.item(), shares)

    def _look(self, adversarial: bool) -> Synthesis:
        """One pass of the teacher and, in adversarial rounds, one of the student."""
        draft, images, views = self._draft()
        seen = self.teacher.judge(images, self.needs)
        answers = None
        if adversarial and "student" in self.needs:
            assert self.student is not None
            self.student.eval()
            with reduced(images.device, self.teacher.precision):
                answers = self.student(images)
            answers = answers.float()
        labels, latents = (
            None if value is None else torch.cat([value] * views)
            for value in (draft.labels, draft.latents)
        )
        return Synthesis(images, seen, answers, labels, latents)

    def _draft(self) -> tuple[Draft, Tensor, int]:
        with reduced(self.synthesizer.device, self.teacher.precision):
            draft = self.synthesizer.draft()
        images = augmented(draft.images.float(), self.recipe.synthesizer.augment, self.rng)
        return draft, images, len(images) // len(draft.images)


def _lesson(synthesis: Synthesis) -> Lesson:
    seen = synthesis.teacher
    maps = [m.detach() for m in seen.maps]
    return Lesson(synthesis.images.detach(), seen.logits.detach(), maps)


def selected(lesson: Lesson, recipe: Recipe) -> Lesson:
    """The part of a lesson that the recipe's selection keeps."""
    if recipe.selection == "clean-mixture":
        return lesson.kept(clean(lesson.logits))
    return lesson
