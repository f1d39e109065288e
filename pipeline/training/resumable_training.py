"""Running the loop so that it can be watched, interrupted and taken up again."""

import time
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from base.errors import InputError, first_line
from base.untrusted_files import PARSE_ERRORS
from dfkd.recipe import Recipe, RecipeError
from dfkd.training.loop import DivergedError, Loop, Plan, Round
from pipeline.config.schema import RunConfig
from pipeline.steps.step_context import Work
from pipeline.teachers.networks import image_spec
from pipeline.training.checkpoint import Checkpoint
from pipeline.training.progress import Reporter

CURVE_POINTS = 200
"""At most so many points of the losses are kept."""


def chosen_device(config: RunConfig) -> torch.device:
    """The device the run file asks for; `auto` takes CUDA where there is one.

    Raises:
        InputError: When it asks for CUDA and there is none.
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
) -> Loop:
    """The loop of a step, on the run's device.

    Raises:
        InputError: When teacher or student cannot serve the recipe.
    """
    try:
        return Loop(
            recipe,
            teacher=teacher,
            generator=generator,
            student=student,
            spec=image_spec(config.input),
            classes=config.teacher.classes,
            plan=plan,
            seed=seed,
            device=chosen_device(config),
            rates=rates,
        )
    except RecipeError as error:
        raise InputError(str(error)) from None


def train(loop: Loop, phase: str, work: Work) -> dict[str, Any]:
    """Run a loop to its end, from its checkpoint if there is one.

    Args:
        loop: Freshly built, the same way as the one that left the checkpoint.
        phase: What to call it in the progress display; also the checkpoint's name.
        work: Keeps a checkpoint now and then, and is told of every round.

    Returns:
        Notes: the losses and each term's share of the gradient over the run, roll-backs, what it
        cost, and its seconds, all from its first try on.

    Raises:
        InputError: When the loop goes wrong again after every roll-back, or its checkpoint is none.
    """
    started = last = time.monotonic()
    kept = Checkpoint(work, phase)
    saved = kept.load() or {"curve": [], "shares": [], "seconds": 0.0, "elsewhere": []}
    curve, shares, earlier = saved["curve"], saved["shares"], saved["seconds"]
    if "loop" in saved:
        try:
            loop.load_state_dict(saved["loop"])
            # A warm-up counts up to 0; from far below it would never end.
            if not -loop.plan.warmup_rounds <= saved["loop"]["round"] <= loop.rounds:
                raise ValueError(f"round {saved['loop']['round']} of {loop.rounds}")
        except (RuntimeError, *PARSE_ERRORS) as error:
            raise _no_state(kept, error) from None

    def watch(now: Round) -> None:
        nonlocal last
        work.reporter.phase(phase, now.number, now.total, now.losses)
        if now.event:
            work.reporter.say(f"{phase}: {now.event}")
        if now.shares:
            shares.append(now.shares)
        if now.number % -(-now.total // CURVE_POINTS) == 0:
            curve.append({**now.losses, "confidence": now.confidence})
        if time.monotonic() - last > kept.every:
            seconds = earlier + time.monotonic() - started
            kept.save({**saved, "loop": loop.state_dict(), "seconds": seconds})
            last = time.monotonic()

    try:
        loop.run(watch)
    except DivergedError as error:
        raise InputError(f"{phase}: {error}; lower the learning rates by overrides") from None
    except PARSE_ERRORS as error:
        if "loop" not in saved:
            raise
        raise _no_state(kept, error) from error
    return {
        "curve": curve,
        "shares": shares,
        "health": [*saved["elsewhere"], *loop.health.events],
        "terms": [term.name for term in loop.terms],
        "cost": vars(loop.counts),
        "seconds": round(earlier + time.monotonic() - started, 1),
    }


def _no_state(kept: Checkpoint, error: Exception) -> InputError:
    """Some of what is wrong with a state shows only when the loop works with it."""
    why = f"{type(error).__name__}: {first_line(error)}"
    return InputError(f"store: {kept.place} is no state of this loop ({why}); delete it")


def say_dropped_terms(loop: Loop, reporter: Reporter) -> None:
    """Say which terms this teacher cannot serve, so that nothing is left out in silence."""
    for term in loop.recipe.terms:
        if term not in loop.terms:
            reporter.say(f"recipe {loop.recipe.name}: no {term.name} term, the teacher has none")


def cpu_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """A network's weights as contiguous tensors on the CPU, ready for a safetensors file."""
    return {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
