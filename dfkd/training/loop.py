"""The training loop, which trains generator and student in turn with a frozen teacher.

Quantization-aware fine-tuning is the same loop with a fake-quantized student. Without a student,
the loop trains the generator alone. The recipe selects the parts, such as generator, terms, memory
and optimizers.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from dfkd.images import ImageSpec
from dfkd.memory.make import make_memory
from dfkd.models.counted_teacher import Counts, Teacher
from dfkd.optimizers import rate_factor
from dfkd.recipe import Recipe
from dfkd.synthesizers.make import build_generator, make_synthesizer
from dfkd.training.budget import Plan
from dfkd.training.generator_phase import GeneratorPhase, GeneratorResult, NotFiniteError
from dfkd.training.health import MAX_INTERVAL, MEASUREMENTS, Health
from dfkd.training.round_report import SHARES, Round, RoundResult
from dfkd.training.snapshot import Snapshot
from dfkd.training.stage_check import check_stages
from dfkd.training.step_counter import Progress, StepCounter
from dfkd.training.student_phase import StudentPhase, StudentResult
from dfkd.training.teacher_mode import require_eval_mode
from dfkd.training.term_weighting import Weighting, usable_terms

__all__ = ["Counts", "DivergedError", "Loop", "Plan", "Round", "build_generator"]


class DivergedError(RuntimeError):
    """A run failed after its last roll-back."""


class Loop:
    """One training run; `run` continues from the present state.

    Args:
        recipe: The recipe.
        teacher: The teacher, frozen and in eval mode.
        generator: The network from `build_generator`; None if the recipe has none.
        student: The student, trained in place; None to train the generator alone.
        spec: Shape, normalization and value range of the images.
        classes: Number of classes.
        plan: The length of the run; without a student only the warm-up is run.
        seed: Seed of the random draws in the loop, except those from torch's global random state.
        device: The device of all networks.
        precision: Data type of the networks' passes; losses and weights are float32.
        student_precision: That of the student's passes; None for `precision`.
        rates: Learning rates that differ from the recipe's, by the name of the student's parameter.

    Raises:
        RecipeError: If the recipe cannot be used with teacher or student.
        ValueError: If the teacher, or a module in it, is in training mode.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        teacher: nn.Module,
        generator: nn.Module | None,
        student: nn.Module | None,
        spec: ImageSpec,
        classes: int,
        plan: Plan,
        seed: int,
        device: torch.device,
        precision: torch.dtype = torch.float32,
        student_precision: torch.dtype | None = None,
        rates: Mapping[str, float] | None = None,
    ) -> None:
        require_eval_mode(teacher)
        self.recipe, self.classes, self.device, self.plan = recipe, classes, device, plan
        self.student, self.generator = student, generator
        self._cuda = device.type == "cuda"
        self.terms = usable_terms(recipe, teacher)
        self.rounds = 0 if student is None else plan.rounds
        self.counts = Counts()
        self.rng = torch.Generator().manual_seed(seed)
        self.health = Health()
        self._round = -plan.warmup_rounds
        self._teacher = Teacher(teacher, self.counts, precision)
        self.synthesizer = make_synthesizer(
            recipe,
            generator=generator,
            teacher=teacher,
            spec=spec,
            classes=classes,
            device=device,
        )
        self.memory = make_memory(
            recipe,
            synthesizer=self.synthesizer,
            teacher=self._teacher,
            spec=spec,
            stretch=plan.stretch,
            device=device,
        )
        self.weighting = Weighting(self.terms, teacher, plan.stretch)
        of_student = precision if student_precision is None else student_precision
        self._generator_phase = GeneratorPhase(
            recipe,
            self._teacher,
            student,
            self.synthesizer,
            spec,
            self.weighting,
            self.rng,
            of_student,
        )
        self._student_phase: StudentPhase | None = None
        if student is not None:
            check_stages(recipe, teacher, student, spec)
            self._student_phase = StudentPhase(
                recipe,
                self._teacher,
                student,
                self.synthesizer,
                spec,
                self.memory,
                self.rng,
                of_student,
                rates,
            )
        length = plan.warmup_rounds + self.rounds
        self._measure_every = max(1, min(MAX_INTERVAL, length // MEASUREMENTS))
        self._shares_every = max(1, length // SHARES)
        self._healthy = self._snapshot()

    @property
    def delivered(self) -> nn.Module | None:
        """The trained student, or its running average if the recipe has one."""
        if self._student_phase is not None and self._student_phase.averaged is not None:
            averaged: nn.Module = self._student_phase.averaged.module
            return averaged
        return self.student

    def run(
        self,
        report: Callable[[Round], None] = lambda _: None,
        after_step: Callable[[], None] = lambda: None,
        progress: Progress = lambda *_: None,
    ) -> None:
        """Run the remaining rounds.

        Args:
            report: Called after every round; the loop's state is then complete and may be saved.
            after_step: Called after every step of the student, within a round.
            progress: Called several times in a round, see `StepCounter`.

        Raises:
            DivergedError: If the run fails after its last roll-back. Generator and student are then
                in their last healthy state.
        """
        counter = StepCounter(self.recipe, progress)
        self._generator_phase.after_step = counter.after_step
        if self._student_phase is not None:
            self._student_phase.after_step = partial(_call_all, counter.after_step, after_step)
        if self.health.given_up:
            raise DivergedError(self.health.events[-1])
        while self._round < self.rounds:
            warm = self._round < 0
            number = self._round + (self.plan.warmup_rounds if warm else 0)
            total = self.plan.warmup_rounds if warm else self.rounds
            counter.begin(warm, number, total)
            fault: str | None
            try:
                generator, student = self._one_round(warm)
            except NotFiniteError as error:
                generator, student, fault = None, None, str(error)
            else:
                result = RoundResult(generator, student, self.classes)
                fault = self.health.fault(result.statistics)
            self._round += 1
            agreement = None
            if fault is None and self._round % self._measure_every == 0:
                agreement, fault = self._measure()
            event = None if fault is None else self._roll_back(fault)
            result = RoundResult(generator, student, self.classes, agreement, event)
            report(result.report(warm, number + 1, total))

    def _one_round(self, warm: bool) -> tuple[GeneratorResult | None, StudentResult | None]:
        recipe = self.recipe
        progress = max(0, self._round) / max(1, self.rounds)
        generator_progress = progress
        if recipe.schedule.generator_steps == 0 or self.rounds == 0:
            generator_progress = 1 + min(0, self._round) / max(1, self.plan.warmup_rounds)
        self.synthesizer.factor = self.health.rate * rate_factor(
            recipe.generator, generator_progress
        )
        self.weighting.factor = self.health.rate
        made: GeneratorResult | None = None
        steps = 1 if warm else recipe.schedule.generator_steps
        for step in range(steps):
            number = self._round + self.plan.warmup_rounds
            with_shares = step + 1 == steps and number % self._shares_every == 0
            made = self._generator_phase.run(adversarial=not warm, with_shares=with_shares)
            if not recipe.synthesizer.draws_on_demand and self.memory is not None:
                self.memory.store(made.batch)
        if self.memory is not None:
            self.memory.factor = self.health.rate
        if warm or self._student_phase is None:
            if self.memory is not None:
                self.memory.end_round(None)
            return made, None
        factor = self.health.rate * rate_factor(recipe.student, progress)
        learned = self._student_phase.run(made.batch if made else None, factor)
        if self.memory is not None:
            self.memory.end_round(learned.batch)
        last = learned.batch or (made.batch if made else None)
        if last is not None:
            self.health.collect(last.images, last.logits)
        return made, learned

    def _measure(self) -> tuple[float | None, str | None]:
        """Measure the agreement on the probe; record the state for roll-backs if it is healthy."""
        agreement = None
        if self.student is not None and self._round > 0:
            agreement = self.health.agreement(self.student)
        fault = self.health.agreement_fault(agreement)
        if fault is None and not self.health.doubtful:
            self._healthy = self._snapshot()
        return agreement, fault

    def _roll_back(self, fault: str) -> str:
        where = f"round {self._round}"
        if self._round <= 0:
            where = f"warm-up round {self._round + self.plan.warmup_rounds}"
        again = self.health.rolled_back(fault, where)
        # Load a copy: torch keeps references to what it loads, and the snapshot may be needed
        # again.
        self._restore(Snapshot(self._healthy.state).state)
        if self.memory is not None:
            self.memory.drop_unmarked()
        if not again:
            raise DivergedError(self.health.events[-1])
        return self.health.events[-1]

    def _snapshot(self) -> Snapshot:
        if self.memory is not None:
            self.memory.mark_healthy()
        return Snapshot(self._changeable())

    def _changeable(self) -> dict[str, Any]:
        """Return the state that training changes and a roll-back restores."""
        state: dict[str, Any] = {
            "synthesizer": self.synthesizer.state_dict(),
            "terms": self.weighting.state_dict(),
        }
        if self.memory is not None and self.memory.learns:
            state["memory"] = self.memory.state_dict()
        if self._student_phase is not None:
            state["student"] = self._student_phase.state_dict()
        return state

    def _restore(self, state: dict[str, Any]) -> None:
        self.synthesizer.load_state_dict(state["synthesizer"])
        self.weighting.load_state_dict(state["terms"])
        if self.memory is not None and "memory" in state:
            self.memory.load_state_dict(state["memory"], self.device)
        if self._student_phase is not None:
            self._student_phase.load_state_dict(state["student"])

    def state_dict(self) -> dict[str, Any]:
        """Return a state from which another process continues with exactly the same results."""
        state = self._changeable()
        if self.memory is not None:
            state["memory"] = self.memory.state_dict()
        return {
            **state,
            "round": self._round,
            "counts": vars(self.counts).copy(),
            "rng": self.rng.get_state(),
            "global rng": torch.get_rng_state(),
            "device rng": torch.cuda.get_rng_state(self.device) if self._cuda else None,
            "health": self.health.state_dict(),
            "healthy": self._healthy.state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of a loop that was built with the same arguments."""
        self._restore(state)
        self._round = state["round"]
        vars(self.counts).update(state["counts"])
        self.rng.set_state(state["rng"])
        torch.set_rng_state(state["global rng"])
        if self._cuda:
            torch.cuda.set_rng_state(state["device rng"].cpu(), self.device)
        self.health.load_state_dict(state["health"], self.device)
        self._healthy = Snapshot(state["healthy"])


def _call_all(*functions: Callable[[], None]) -> None:
    for function in functions:
        function()
