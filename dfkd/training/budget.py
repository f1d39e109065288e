"""How long a run is: rounds for so many student steps, or for so many passes of the teacher."""

from dataclasses import dataclass

from dfkd.composition import AverageGenerator, VaeReplay
from dfkd.recipe import Recipe


@dataclass(frozen=True)
class Plan:
    """The length of a run.

    Attributes:
        warmup_rounds: In which the generator learns from the teacher alone.
        rounds: After these.
        stretch: `rounds` over the recipe's published length; what a recipe does every so many
            rounds is stretched alike.
    """

    warmup_rounds: int
    rounds: int
    stretch: float = 1.0


def for_student_steps(recipe: Recipe, steps: int) -> Plan:
    """The plan with at least so many student steps; the warm-up is stretched in proportion."""
    schedule = recipe.schedule
    rounds = -(-steps // schedule.student_steps)
    stretch = rounds / schedule.rounds
    warmup = schedule.warmup_rounds * rounds // schedule.rounds
    return Plan(_at_least_one(schedule.warmup_rounds, warmup), rounds, stretch)


def for_teacher_passes(recipe: Recipe, passes: int) -> Plan:
    """The longest plan that costs at most so many teacher passes, of at least one round each.

    Where the main rounds cost nothing (everything is made in the warm-up), their number follows the
    published proportion.
    """
    schedule = recipe.schedule
    warm, main = passes_per_round(recipe, warm=True), passes_per_round(recipe, warm=False)
    published = schedule.warmup_rounds * warm + schedule.rounds * main
    stretch = passes / published
    # In whole numbers: a float's last digit would cost a round here and there.
    warmup = _at_least_one(schedule.warmup_rounds, schedule.warmup_rounds * passes // published)
    rounds = schedule.rounds * passes // published
    if main:
        rounds = min(rounds, (passes - warmup * warm) // main)
    return Plan(warmup, max(1, rounds), stretch)


def _at_least_one(published: int, stretched: int) -> int:
    """Of a recipe that has a warm-up, at least one round is left."""
    return max(1, stretched) if published else 0


def passes_per_round(recipe: Recipe, warm: bool) -> int:
    """Teacher passes of one round: per image, a forward counts 1, a forward with backward 3.

    The first rounds of a run cost less while a memory is still empty.
    """
    schedule, batch = recipe.schedule, recipe.schedule.batch
    views = 2 if recipe.synthesizer.augment == "two-views" else 1
    step = 3 * batch * views * recipe.synthesizer.steps
    # What is made for a pool is answered once more, without the last step's gradient.
    step += 0 if recipe.synthesizer.draws_on_demand else batch
    if warm:
        return step
    passes = step * schedule.generator_steps
    if schedule.fresh != "generator-batch":
        passes += batch * views * schedule.fresh_batches
    replayed = recipe.replayed
    if isinstance(recipe.memory, AverageGenerator):
        passes += schedule.student_steps * replayed
    if isinstance(recipe.memory, VaeReplay):
        sample = 4 * replayed
        shown = schedule.student_steps if schedule.shares_a_batch else schedule.fresh_batches
        learning = min(recipe.memory.steps, shown)
        passes += schedule.student_steps * sample
        passes += learning * (sample + 3 * (max(1, batch // 2) + replayed))
    if recipe.objective.compares_maps and recipe.memory is not None:
        passes += schedule.student_steps * replayed
    return passes
