"""The one training loop: a generator and a student, alternating, against a frozen teacher.

Distillation and quantization-aware fine-tuning are the same loop with another student; a generator
that learns from the teacher alone is the same loop without one. A recipe says what the parts are.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from dfkd.images import ImageSpec
from dfkd.memory import make_memory
from dfkd.models.teacher import Counts, Teacher
from dfkd.recipe import Recipe
from dfkd.synthesizers import build_generator, make_synthesizer
from dfkd.training.budget import Plan
from dfkd.training.feature_shapes import check_stages
from dfkd.training.generator_phase import GeneratorPhase, NotFiniteError, Synthesised
from dfkd.training.health import LONGEST, LOOKS, Health, Snapshot
from dfkd.training.optimizers import rate_factor
from dfkd.training.round_report import SHARES, Happened, Round
from dfkd.training.student_phase import Learnt, StudentPhase
from dfkd.training.term_weighting import Weighting, usable_terms

__all__ = ["Counts", "DivergedError", "Loop", "Plan", "Round", "build_generator"]


class DivergedError(RuntimeError):
    """A run went wrong again after every roll-back that was left."""


class Loop:
    """One training run; `run` goes on from wherever the state stands.

    Args:
        recipe: The composition.
        teacher: Frozen, in eval mode.
        generator: As `build_generator` makes it; None when the recipe has none.
        student: Trained in place; None trains the generator alone.
        spec: The images.
        classes: Number of classes.
        plan: The length of the run; without a student the warm-up alone.
        seed: Of every random draw in the loop.
        device: Where the networks are.
        precision: What the networks' passes run in; losses and weights are float32.
        rates: Learning rates of the student's parameters by name, where not the recipe's.

    Raises:
        RecipeError: When teacher or student cannot serve the recipe.
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
        rates: Mapping[str, float] | None = None,
    ) -> None:
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
        self._making = GeneratorPhase(
            recipe, self._teacher, student, self.synthesizer, self.weighting, self.rng
        )
        self._learning: StudentPhase | None = None
        if student is not None:
            check_stages(recipe, teacher, student, spec)
            self._learning = StudentPhase(
                recipe, self._teacher, student, self.synthesizer, self.memory, self.rng, rates
            )
        length = plan.warmup_rounds + self.rounds
        self._look_every = max(1, min(LONGEST, length // LOOKS))
        self._shares_every = max(1, length // SHARES)
        self._healthy = self._snapshot()

    @property
    def delivered(self) -> nn.Module | None:
        """The student that the run delivers: its running average if the recipe asks for one."""
        if self._learning is not None and self._learning.averaged is not None:
            averaged: nn.Module = self._learning.averaged.module
            return averaged
        return self.student

    def run(
        self,
        watch: Callable[[Round], None] = lambda _: None,
        after_step: Callable[[], None] = lambda: None,
    ) -> None:
        """Run the rounds that are left.

        Args:
            watch: Called after every round; the loop's state is then complete and may be saved.
            after_step: Called after every step of the student's, in the middle of a round.

        Raises:
            DivergedError: When the run goes wrong once more than it may be rolled back. Generator
                and student are then as in the last healthy state.
        """
        if self._learning is not None:
            self._learning.after_step = after_step
        if self.health.given_up:
            raise DivergedError(self.health.events[-1])
        while self._round < self.rounds:
            warm = self._round < 0
            fault: str | None
            try:
                made, learnt = self._one_round(warm)
            except NotFiniteError as error:
                made, learnt, fault = None, None, str(error)
            else:
                fault = self.health.fault(Happened(made, learnt, self.classes).vitals)
            self._round += 1
            agreement = None
            if fault is None and self._round % self._look_every == 0:
                agreement, fault = self._look()
            event = None if fault is None else self._roll_back(fault)
            seen = Happened(made, learnt, self.classes, agreement, event)
            number = self._round + (self.plan.warmup_rounds if warm else 0)
            watch(seen.report(warm, number, self.plan.warmup_rounds if warm else self.rounds))

    def _one_round(self, warm: bool) -> tuple[Synthesised | None, Learnt | None]:
        recipe = self.recipe
        progress = max(0, self._round) / max(1, self.rounds)
        making = progress
        if recipe.schedule.generator_steps == 0 or self.rounds == 0:
            making = 1 + min(0, self._round) / max(1, self.plan.warmup_rounds)
        self.synthesizer.factor = self.health.rate * rate_factor(recipe.generator, making)
        self.weighting.factor = self.health.rate
        made = None
        steps = 1 if warm else recipe.schedule.generator_steps
        for step in range(steps):
            number = self._round + self.plan.warmup_rounds
            with_shares = step + 1 == steps and number % self._shares_every == 0
            made = self._making.run(adversarial=not warm, with_shares=with_shares)
            if not recipe.synthesizer.draws_on_demand and self.memory is not None:
                self.memory.remember(made.lesson)
        if self.memory is not None:
            self.memory.factor = self.health.rate
        if warm or self._learning is None:
            if self.memory is not None:
                self.memory.close_round(None)
            return made, None
        factor = self.health.rate * rate_factor(recipe.student, progress)
        learnt = self._learning.run(made.lesson if made else None, factor)
        if self.memory is not None:
            self.memory.close_round(learnt.lesson)
        fresh = learnt.lesson or (made.lesson if made else None)
        if fresh is not None:
            self.health.gather(fresh.images, fresh.logits)
        return made, learnt

    def _look(self) -> tuple[float | None, str | None]:
        """Ask the student about the frozen probe; if it knows, this is the state to return to."""
        agreement = None
        if self.student is not None and self._round > 0:
            agreement = self.health.agreement(self.student)
        fault = self.health.forgotten(agreement)
        if fault is None and not self.health.doubtful:
            self._healthy = self._snapshot()
        return agreement, fault

    def _roll_back(self, fault: str) -> str:
        where = f"round {self._round}"
        if self._round <= 0:
            where = f"warm-up round {self._round + self.plan.warmup_rounds}"
        again = self.health.rolled_back(fault, where)
        # The snapshot must survive a second fall, and load_state_dict of torch keeps references.
        self._restore(Snapshot(self._healthy.state).state)
        if self.memory is not None:
            self.memory.forget()
        if not again:
            raise DivergedError(self.health.events[-1])
        return self.health.events[-1]

    def _snapshot(self) -> Snapshot:
        if self.memory is not None:
            self.memory.mark()
        return Snapshot(self._changeable())

    def _changeable(self) -> dict[str, Any]:
        """What training changes and a roll-back restores: networks, optimisers, learning memory."""
        state: dict[str, Any] = {
            "synthesizer": self.synthesizer.state_dict(),
            "terms": self.weighting.state_dict(),
        }
        if self.memory is not None and self.memory.learns:
            state["memory"] = self.memory.state_dict()
        if self._learning is not None:
            state["student"] = self._learning.state_dict()
        return state

    def _restore(self, state: dict[str, Any]) -> None:
        self.synthesizer.load_state_dict(state["synthesizer"])
        self.weighting.load_state_dict(state["terms"])
        if self.memory is not None and "memory" in state:
            self.memory.load_state_dict(state["memory"], self.device)
        if self._learning is not None:
            self._learning.load_state_dict(state["student"])

    def state_dict(self) -> dict[str, Any]:
        """Everything that a later process needs to go on exactly as this one would have."""
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
        """Take up the state of a loop that was built with the same arguments."""
        self._restore(state)
        self._round = state["round"]
        vars(self.counts).update(state["counts"])
        self.rng.set_state(state["rng"])
        torch.set_rng_state(state["global rng"])
        if self._cuda:
            torch.cuda.set_rng_state(state["device rng"].cpu(), self.device)
        self.health.load_state_dict(state["health"], self.device)
        self._healthy = Snapshot(state["healthy"])
