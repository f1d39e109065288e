"""Running the training loop with progress, checkpoints and notes."""

import math
import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from base.errors import InputError, first_line
from base.untrusted_files import PARSE_ERRORS
from dfkd.models.precision import fast_layout, set_fast_layout
from dfkd.recipe import Recipe, RecipeError
from dfkd.training.budget import Plan
from dfkd.training.loop import DivergedError, Loop, Round
from pipeline.config.schema import RunConfig
from pipeline.reporter import Reporter
from pipeline.step_types import StepContext
from pipeline.teachers.networks import image_spec
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.network_precision import network_precision

SHOWN_INTERVAL_S = 0.5
"""Seconds between two reports of progress within a round."""

CURVE_POINTS = 200
"""The most points of a loss curve that the notes keep."""


def chosen_device(config: RunConfig) -> torch.device:
    """Return the device that the run file asks for; `auto` uses CUDA if available.

    Raises:
        InputError: If it asks for CUDA and there is none.
    """
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: cuda is not available here; use auto or cpu")
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(config.device)


def make_loop(
    recipe: Recipe,
    config: RunConfig,
    *,
    teacher: nn.Module,
    generator: nn.Module | None,
    student: nn.Module | None,
    plan: Plan,
    seed: int,
    rates: Mapping[str, float] | None = None,
    quantized: bool = False,
) -> Loop:
    """Return a loop on the run's device, with the fastest precision and memory layout.

    Arguments as for `Loop`; `quantized` is whether the student is fake-quantized.

    Raises:
        InputError: If the recipe cannot be used with this teacher or student.
    """
    device, spec = chosen_device(config), image_spec(config.input)
    images = spec.normalise(torch.full((2, *spec.shape), spec.value_range[0], device=device))
    precision = network_precision(config, teacher, images)
    of_student = torch.float32
    if student is not None and not quantized:
        of_student = network_precision(config, student, images)
    set_fast_layout(teacher, precision, images)
    if student is not None:
        set_fast_layout(student, of_student, images)
    if generator is not None:
        layout = fast_layout(generator, precision)
        generator.to(memory_format=layout)  # type: ignore[call-overload]
    try:
        return Loop(
            recipe,
            teacher=teacher,
            generator=generator,
            student=student,
            spec=spec,
            classes=config.teacher.classes,
            plan=plan,
            seed=seed,
            device=device,
            precision=precision,
            student_precision=of_student,
            rates=rates,
        )
    except RecipeError as error:
        raise InputError(str(error)) from None


def train(
    loop: Loop, phase: str, context: StepContext, *, may_diverge: bool = False
) -> dict[str, Any]:
    """Run a loop to its end, from its checkpoint if there is one.

    Args:
        loop: New, and built like the loop that saved the checkpoint.
        phase: Its name in progress messages; also the checkpoint's name. If the loop has a warm-up
            before its rounds, the warm-up is a phase of its own.
        context: The step. It keeps the checkpoints and receives the progress of every round.
        may_diverge: Whether a loop whose training diverges is used in its last healthy state.

    Returns:
        Notes for reports: the losses, each term's share of the gradient, roll-backs, cost and
        seconds. All count from the first try on.

    Raises:
        InputError: If training diverges after every roll-back and must not, or the checkpoint does
            not fit.
    """
    reporter = context.reporter
    started = last_saved = time.monotonic()
    checkpoint = Checkpoint(context, phase)
    saved = checkpoint.load() or {"curve": [], "shares": [], "seconds": 0.0, "elsewhere": []}
    curve, shares, earlier_s = saved["curve"], saved["shares"], saved["seconds"]
    if "loop" in saved:
        _restore(loop, saved["loop"], checkpoint.place)

    last_shown, losses = -math.inf, dict[str, float]()

    def show(stage: str, done: float, total: int) -> None:
        nonlocal last_shown
        is_warm_up = stage == "warm-up" and loop.rounds > 0
        reporter.phase(f"{phase} warm-up" if is_warm_up else phase, done, total, losses)
        last_shown = time.monotonic()

    def show_if_due(stage: str, done: float, total: int) -> None:
        nonlocal losses
        if done == 0:
            losses = {}
        ended = done == int(done) and losses  # The end of a round was shown with its losses.
        if not ended and time.monotonic() - last_shown > SHOWN_INTERVAL_S:
            show(stage, done, total)

    def watch(now: Round) -> None:
        nonlocal last_saved, losses
        losses = now.losses
        show(now.phase, now.number, now.total)
        if now.event:
            reporter.say(f"{phase}: {now.event}")
        if now.shares:
            shares.append(now.shares)
        if now.number % -(-now.total // CURVE_POINTS) == 0:
            curve.append({**now.losses, "confidence": now.confidence})
        if time.monotonic() - last_saved > checkpoint.interval_s:
            seconds = earlier_s + time.monotonic() - started
            checkpoint.save({**saved, "loop": loop.state_dict(), "seconds": seconds})
            last_saved = time.monotonic()

    try:
        loop.run(watch, progress=show_if_due)
    except DivergedError as error:
        if not may_diverge:
            raise InputError(f"{phase}: {error}; lower the learning rates by overrides") from None
        reporter.say(f"{phase}: {error}; its last healthy state is used")
    except PARSE_ERRORS as error:
        if "loop" not in saved:
            raise
        raise _bad_checkpoint(checkpoint.place, error) from error
    return {
        "curve": curve,
        "shares": shares,
        "health": [*saved["elsewhere"], *loop.health.events],
        "terms": [term.name for term in loop.terms],
        "cost": vars(loop.counts),
        "seconds": round(earlier_s + time.monotonic() - started, 1),
    }


def _restore(loop: Loop, state: dict[str, Any], place: str) -> None:
    """Load a loop's state.

    Raises:
        InputError: If it is not a state of this loop.
    """
    try:
        loop.load_state_dict(state)
        # From a round far below 0 the warm-up, which counts up to 0, would never end.
        if not -loop.plan.warmup_rounds <= state["round"] <= loop.rounds:
            raise ValueError(f"round {state['round']} of {loop.rounds}")
    except (RuntimeError, *PARSE_ERRORS) as error:
        raise _bad_checkpoint(place, error) from None


def _bad_checkpoint(place: str, error: Exception) -> InputError:
    """Return the error for a checkpoint whose fault shows only when the loop uses it."""
    why = f"{type(error).__name__}: {first_line(error)}"
    return InputError(f"store: {place} does not fit this loop ({why}); delete it")


def report_dropped_terms(loop: Loop, reporter: Reporter) -> None:
    """Report the recipe's terms that this teacher cannot provide and that are left out."""
    for term in loop.recipe.terms:
        if term not in loop.terms:
            reporter.say(
                f"recipe {loop.recipe.name}: term {term.name} is left out, "
                "the teacher has no batch norm"
            )
