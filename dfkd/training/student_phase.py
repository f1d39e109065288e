"""The student's phase of a round: new batches, replay, and one update for each step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dfkd.augmentation import augmented, blended
from dfkd.composition import Composition
from dfkd.images import ImageSpec
from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.memory.protocol import Memory
from dfkd.models.counted_teacher import Teacher
from dfkd.models.precision import reduced
from dfkd.models.state_dicts import load_state
from dfkd.optimizers import clip, gradient_norm, make_optimizer, set_rates
from dfkd.procedural.images import ProceduralImages
from dfkd.student_loss.updates import StudentObjective, step_loss
from dfkd.synthesizers.kept_generator import KeptGeneratorSynthesizer
from dfkd.synthesizers.protocol import Synthesizer
from dfkd.training.generator_phase import check_finite
from dfkd.training.selection import clean


@dataclass
class StudentResult:
    """The result of the student's phase.

    Attributes:
        batch: The last new batch, without its blended images; None if the student was trained on
            replayed images alone.
        loss: Loss of the last step.
        gradient: Norm of the gradient of the last step.
    """

    batch: LabelledBatch | None
    loss: float
    gradient: float


class StudentPhase:
    """Trains the student for one round.

    Args:
        recipe: The recipe.
        teacher: The teacher; it counts its passes.
        student: The student, trained in place.
        synthesizer: Draws the new images, if it keeps a generator.
        spec: Specification of the images.
        memory: Source of replayed images; None for no replay.
        rng: Random number generator for all draws.
        precision: Data type of the student's arithmetic.
        rates: Learning rates that differ from the recipe's, by the name of the parameter.

    Attributes:
        after_step: Called after every step of the student.
    """

    def __init__(
        self,
        recipe: Composition,
        teacher: Teacher,
        student: nn.Module,
        synthesizer: Synthesizer,
        spec: ImageSpec,
        memory: Memory | None,
        rng: torch.Generator,
        precision: torch.dtype,
        rates: Mapping[str, float] | None = None,
    ) -> None:
        self.recipe, self.teacher, self.student = recipe, teacher, student
        self.synthesizer, self.spec = synthesizer, spec
        self.memory, self.rng = memory, rng
        self.procedural: ProceduralImages | None = None
        if recipe.schedule.procedural_batches:
            self.procedural = ProceduralImages(spec.shape)
        self.objective = StudentObjective(student, recipe.objective, precision)
        groups = _by_rate(student, recipe.student.lr, rates or {})
        self.parameters = [p for group in groups for p in group["params"]]
        self.optimizer = make_optimizer(recipe.student, groups)
        self._unblended: LabelledBatch | None = None
        self.after_step: Callable[[], None] = lambda: None
        self.averaged: AveragedModel | None = None
        if recipe.average:
            average = get_ema_multi_avg_fn(recipe.average)
            self.averaged = AveragedModel(student, multi_avg_fn=average, use_buffers=True)

    def run(self, generated: LabelledBatch | None, factor: float) -> StudentResult:
        """Take the student steps of one round.

        Args:
            generated: The last batch of the generator's phase.
            factor: Factor of the learning rate.

        Raises:
            NotFiniteError: If a loss or gradient is not finite; the optimizer step is then not
                taken.
        """
        self._unblended = None
        batches = self._new_batches(generated)
        shared = self.recipe.schedule.shares_a_batch
        set_rates(self.optimizer, factor)
        result = StudentResult(self._unblended or (batches[-1] if batches else None), 0.0, 0.0)
        for step in range(self.recipe.schedule.student_steps):
            new = batches[0 if shared else step] if shared or step < len(batches) else None
            replayed = None
            if self.memory is not None:
                if new is not None:
                    self.memory.observe(new, step, self.rng)
                replayed = self._with_maps(self.memory.sample(self.recipe.replayed, self.rng))
            if new is not None or replayed is not None:
                last = step + 1 == self.recipe.schedule.student_steps
                result.loss, result.gradient = self._step(new, replayed, last)
        return result

    def _with_maps(self, replayed: LabelledBatch | None) -> LabelledBatch | None:
        """Return a replayed batch, with the teacher's maps if the objective compares them.

        The maps are computed again because storing them would need much memory.
        """
        if replayed is None or not self.recipe.objective.compares_maps:
            return replayed
        seen = self.teacher.plain_pass(replayed.images, ("maps",))
        return LabelledBatch(replayed.images, seen.logits, seen.maps)

    def _step(
        self, new: LabelledBatch | None, replayed: LabelledBatch | None, last: bool
    ) -> tuple[float, float]:
        self.student.train()
        loss = step_loss(self.objective, self.recipe.update, new, replayed)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.zeros(())
        if last or self.recipe.student.clip:
            # Other steps need no norm: if their gradient is not finite, neither is the next loss.
            norm = gradient_norm(self.parameters)
        check_finite("student", loss, norm)
        clip(self.parameters, self.recipe.student, norm)
        self.optimizer.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.student)
        self.teacher.counts.student_steps += 1
        self.after_step()
        return loss.item(), norm.item()

    def _new_batches(self, generated: LabelledBatch | None) -> list[LabelledBatch]:
        """Return the round's new images with the teacher's outputs; store them in the memory."""
        schedule = self.recipe.schedule
        if schedule.fresh == "generator-batch":
            assert generated is not None
            batches = [generated]
        elif schedule.fresh_batches == 0:
            batches = []
        else:
            assert isinstance(self.synthesizer, KeptGeneratorSynthesizer)
            batches = [self._drawn(self.synthesizer) for _ in range(schedule.fresh_batches)]
        procedural = [self._procedural_batch() for _ in range(schedule.procedural_batches)]
        for batch in (*batches, *procedural):
            if self.memory is not None:
                self.memory.store(batch)
        return batches

    def _procedural_batch(self) -> LabelledBatch:
        """Return one batch of procedural images, with the teacher's outputs."""
        assert self.procedural is not None
        raw = self.procedural.draw(self.recipe.schedule.batch, self.rng)
        low, high = self.spec.value_range
        images = self.spec.normalise(low + (high - low) * raw)
        return self._labelled(images.to(self.synthesizer.device))

    def _drawn(self, synthesizer: KeptGeneratorSynthesizer) -> LabelledBatch:
        """Return one batch drawn from the generator, with the teacher's outputs."""
        again = self.recipe.schedule.fresh == "same-latents"
        count = self.recipe.schedule.batch
        with reduced(synthesizer.device, self.teacher.precision):
            drawn = synthesizer.draw_again() if again else synthesizer.draw(count, self.rng)
        check_finite("generator", drawn.images.sum(), drawn.images.norm())
        standard = self.spec.to_standard(drawn.images.float())
        standard = augmented(standard, self.recipe.synthesizer.augment, self.rng)
        images = self.spec.from_standard(standard)
        batch = self._labelled(images)
        self.teacher.counts.images += 0 if again else count
        if self.recipe.schedule.fresh == "mixed":
            # A blended image shows two classes, so health checks use only the unblended half.
            half = len(batch.images) // 2
            self._unblended = LabelledBatch(batch.images[half:], batch.logits[half:])
        if self.recipe.selection == "clean-mixture":
            return batch.selected(clean(batch.logits))
        return batch

    def _labelled(self, images: Tensor) -> LabelledBatch:
        """Return images, half of them blended if the recipe says so, with the teacher's outputs."""
        if self.recipe.schedule.fresh == "mixed":
            images = blended(images, self.rng)
        needs = ("maps",) if self.recipe.objective.compares_maps else ()
        seen = self.teacher.plain_pass(images, needs)
        return LabelledBatch(images, seen.logits, seen.maps)

    def state_dict(self) -> dict[str, Any]:
        """Return student, optimizer and running average for a checkpoint."""
        return {
            "student": self.student.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "averaged": None if self.averaged is None else self.averaged.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state."""
        load_state(self.student, state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.averaged is not None:
            load_state(self.averaged, state["averaged"])


def _by_rate(student: nn.Module, usual: float, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return one parameter group for each learning rate, with trainable parameters only."""
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in student.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(rates.get(name, usual), []).append(parameter)
    return [{"params": group, "lr": rate} for rate, group in groups.items()]
