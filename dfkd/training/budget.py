"""The number of rounds for a number of student steps or of teacher passes."""

from dataclasses import dataclass

from dfkd.composition import Composition
from dfkd.terms import TERMS


@dataclass(frozen=True)
class Plan:
    """The length of a run.

    Attributes:
        warmup_rounds: Rounds in which the generator is trained with the teacher alone.
        rounds: Rounds after the warm-up.
        stretch: Length of the run divided by the published length. Intervals in rounds are
            multiplied by it.
    """

    warmup_rounds: int
    rounds: int
    stretch: float = 1.0


def for_student_steps(recipe: Composition, steps: int) -> Plan:
    """Return the shortest plan with at least `steps` student steps.

    The number of warm-up rounds is scaled by the same factor as that of the other rounds.

    Args:
        recipe: The recipe.
        steps: Number of student steps.

    Examples:
        >>> from dfkd.recipes import RECIPES
        >>> for_student_steps(RECIPES["house"], 400).rounds
        10
    """
    schedule = recipe.schedule
    rounds = -(-steps // schedule.student_steps)
    stretch = rounds / schedule.rounds
    warmup = schedule.warmup_rounds * rounds // schedule.rounds
    return Plan(_at_least_one(schedule.warmup_rounds, warmup), rounds, stretch)


def for_teacher_passes(recipe: Composition, passes: int) -> Plan:
    """Return the longest plan that costs at most `passes` teacher passes.

    The plan has at least one round after the warm-up and, if the recipe has a warm-up, at least one
    warm-up round. If the rounds after the warm-up cost no passes, because every image is made in
    the warm-up, both numbers of rounds are scaled by the same factor.

    Args:
        recipe: The recipe.
        passes: Number of teacher passes, counted as in `passes_per_round`.
    """
    schedule = recipe.schedule
    warm, main = passes_per_round(recipe, warm=True), passes_per_round(recipe, warm=False)
    published = schedule.warmup_rounds * warm + schedule.rounds * main
    stretch = passes / published
    # Integer division: with floats, rounding would sometimes give one round too few.
    warmup = _at_least_one(schedule.warmup_rounds, schedule.warmup_rounds * passes // published)
    rounds = schedule.rounds * passes // published
    if main:
        rounds = min(rounds, (passes - warmup * warm) // main)
    return Plan(warmup, max(1, rounds), stretch)


def _at_least_one(published: int, scaled: int) -> int:
    """Return `scaled`, but at least 1 for a recipe with a warm-up and 0 for one without."""
    return max(1, scaled) if published else 0


def passes_per_round(recipe: Composition, warm: bool) -> int:
    """Return the teacher passes of one round.

    For each image, a forward pass counts 1 and a forward pass with backward pass 3. The first
    rounds of a run cost less as long as the memory is empty.

    Args:
        recipe: The recipe.
        warm: Whether the round is one of the warm-up.
    """
    schedule, batch, views = recipe.schedule, recipe.schedule.batch, recipe.views
    step = 3 * batch * views * recipe.synthesizer.steps
    # Finished images for a pool need one more pass of the teacher, without a gradient.
    step += 0 if recipe.synthesizer.draws_on_demand else batch
    if warm:
        return step
    passes = step * schedule.generator_steps
    if schedule.fresh != "generator-batch":
        passes += batch * (views * schedule.fresh_batches + schedule.procedural_batches)
    if recipe.memory is not None:
        passes += recipe.memory.teacher_passes(schedule, recipe.replayed)
        if recipe.objective.compares_maps:
            passes += schedule.student_steps * recipe.replayed
    return passes


def student_images_per_round(recipe: Composition) -> int:
    """Return the images that pass forward and backward through the student in one round.

    They are the new and replayed images of the student's steps and, if a term is adversarial, those
    of the generator's steps. The first rounds of a run have fewer, as long as the memory is empty.
    """
    schedule = recipe.schedule
    new = schedule.student_steps if schedule.shares_a_batch else schedule.fresh_batches
    images = schedule.student_steps * recipe.replayed + new * schedule.batch * recipe.views
    if any(TERMS[term.name].needs_student for term in recipe.terms):
        made = schedule.batch * recipe.views * recipe.synthesizer.steps
        images += schedule.generator_steps * made
    return images
