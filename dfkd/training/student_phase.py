"""The student's half of a round: fresh batches, replay, and one update a step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dfkd.memory import Memory
from dfkd.memory.labelled_batch import Lesson
from dfkd.models.teacher import Teacher, reduced
from dfkd.recipe import Recipe
from dfkd.synthesizers import Synthesizer
from dfkd.synthesizers.augment import augmented, blended
from dfkd.synthesizers.kept_generator import KeptGeneratorSynthesizer
from dfkd.training.generator_phase import check_finite, selected
from dfkd.training.optimizers import clip, gradient_norm, make_optimizer, set_rates
from dfkd.training.updates import Pupil, learning_loss


@dataclass
class Learnt:
    """What the student's phase leaves.

    Attributes:
        lesson: The last fresh batch, what was not blended of it; None when the student learnt from
            memory alone.
        loss: Of the last step.
        gradient: Its norm.
    """

    lesson: Lesson | None
    loss: float
    gradient: float


class StudentPhase:
    """Teaches the student for one round.

    Args:
        recipe: The composition.
        teacher: Counted.
        student: Trained in place.
        synthesizer: Draws fresh images, when it can.
        memory: Replays; None for none.
        rng: Of every draw.
        rates: Learning rates of parameters by name, where not the recipe's.

    Attributes:
        after_step: Called after every step of the student's.
    """

    def __init__(
        self,
        recipe: Recipe,
        teacher: Teacher,
        student: nn.Module,
        synthesizer: Synthesizer,
        memory: Memory | None,
        rng: torch.Generator,
        rates: Mapping[str, float] | None = None,
    ) -> None:
        self.recipe, self.teacher, self.student = recipe, teacher, student
        self.synthesizer, self.memory, self.rng = synthesizer, memory, rng
        self.pupil = Pupil(student, recipe.objective, teacher.precision)
        groups = _by_rate(student, recipe.student.lr, rates or {})
        self.parameters = [p for group in groups for p in group["params"]]
        self.optimizer = make_optimizer(recipe.student, groups)
        self.replayed = recipe.replayed
        self._unblended: Lesson | None = None
        self.after_step: Callable[[], None] = lambda: None
        self.averaged: AveragedModel | None = None
        if recipe.average:
            average = get_ema_multi_avg_fn(recipe.average)
            self.averaged = AveragedModel(student, multi_avg_fn=average, use_buffers=True)

    def run(self, drafted: Lesson | None, factor: float) -> Learnt:
        """One round of student steps.

        Args:
            drafted: What the generator's phase made last.
            factor: What the learning rate is multiplied by.

        Raises:
            NotFiniteError: Before the student takes it up.
        """
        self._unblended = None
        lessons = self._fresh(drafted)
        shared = self.recipe.schedule.shares_a_batch
        set_rates(self.optimizer, factor)
        learnt = Learnt(self._unblended or (lessons[-1] if lessons else None), 0.0, 0.0)
        for step in range(self.recipe.schedule.student_steps):
            new = lessons[0 if shared else step] if shared or step < len(lessons) else None
            replayed = None
            if self.memory is not None:
                if new is not None:
                    self.memory.attend(new, step, self.rng)
                replayed = self._shown_again(self.memory.recall(self.replayed, self.rng))
            if new is not None or replayed is not None:
                last = step + 1 == self.recipe.schedule.student_steps
                learnt.loss, learnt.gradient = self._step(new, replayed, last)
        return learnt

    def _shown_again(self, replayed: Lesson | None) -> Lesson | None:
        """With the teacher's maps, where they are compared: a memory would need too much room."""
        if replayed is None or not self.recipe.objective.compares_maps:
            return replayed
        seen = self.teacher.answer(replayed.images, ("maps",))
        return Lesson(replayed.images, seen.logits, seen.maps)

    def _step(self, new: Lesson | None, replayed: Lesson | None, last: bool) -> tuple[float, float]:
        self.student.train()
        loss = learning_loss(self.pupil, self.recipe.update, new, replayed)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.zeros(())
        if last or self.recipe.student.clip:
            # In the steps between, the next loss shows a gradient that was not finite.
            norm = gradient_norm(self.parameters)
        check_finite("student", loss, norm)
        clip(self.parameters, self.recipe.student, norm)
        self.optimizer.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.student)
        self.teacher.counts.student_steps += 1
        self.after_step()
        return loss.item(), norm.item()

    def _fresh(self, drafted: Lesson | None) -> list[Lesson]:
        """The round's new images, answered by the teacher and remembered."""
        schedule = self.recipe.schedule
        if schedule.fresh == "generator-batch":
            assert drafted is not None
            lessons = [drafted]
        elif schedule.fresh_batches == 0:
            return []
        else:
            assert isinstance(self.synthesizer, KeptGeneratorSynthesizer)
            lessons = [self._drawn(self.synthesizer) for _ in range(schedule.fresh_batches)]
        for lesson in lessons:
            if self.memory is not None:
                self.memory.remember(lesson)
        return lessons

    def _drawn(self, synthesizer: KeptGeneratorSynthesizer) -> Lesson:
        """One batch of the generator's, answered by the teacher."""
        again = self.recipe.schedule.fresh == "same-latents"
        count = self.recipe.schedule.batch
        with reduced(synthesizer.device, self.teacher.precision):
            draft = synthesizer.again() if again else synthesizer.fresh(count, self.rng)
        check_finite("generator", draft.images.sum(), draft.images.norm())
        images = augmented(draft.images.float(), self.recipe.synthesizer.augment, self.rng)
        if self.recipe.schedule.fresh == "mixed":
            images = blended(images, self.rng)
        needs = ("maps",) if self.recipe.objective.compares_maps else ()
        seen = self.teacher.answer(images, needs)
        self.teacher.counts.images += 0 if again else count
        if self.recipe.schedule.fresh == "mixed":
            # Blends of one class are of many: what the generator draws shows in the others alone.
            half = len(images) // 2
            self._unblended = Lesson(images[half:], seen.logits[half:])
        return selected(Lesson(images, seen.logits, seen.maps), self.recipe)

    def state_dict(self) -> dict[str, Any]:
        """Student, optimiser and average, for a checkpoint."""
        return {
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])


def _by_rate(student: nn.Module, usual: float, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Groups for an optimiser: what is trained, together with what has the same rate."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in student.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(rates.get(name, usual), []).append(parameter)
    return [{"params": group, "lr": rate} for rate, group in groups.items()]
