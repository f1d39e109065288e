"""Distillation of a student in one call, for notebooks and scripts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from dfkd.errors import RecipeError
from dfkd.images import ImageSpec
from dfkd.models.counted_teacher import Counts
from dfkd.recipe import Recipe
from dfkd.recipes import RECIPES
from dfkd.synthesizers.make import build_generator
from dfkd.training.budget import for_student_steps
from dfkd.training.loop import Loop
from dfkd.training.round_report import Round


@dataclass(frozen=True)
class Distillation:
    """A trained student and the record of its training.

    Attributes:
        student: The student in eval mode, with averaged weights if the recipe averages them.
        generator: The trained generator; None for a recipe without one.
        recipe: The recipe with its overrides.
        rounds: A report of each round, with losses, gradients and predicted classes.
        counts: Student steps, images and teacher passes.
        events: Messages about roll-backs by the health checks; empty for a healthy run.
        terms: Names of the loss terms that were used; a teacher may not support all of them.
    """

    student: nn.Module
    generator: nn.Module | None
    recipe: Recipe
    rounds: tuple[Round, ...]
    counts: Counts
    events: tuple[str, ...]
    terms: tuple[str, ...]

    def losses(self, name: str = "student") -> list[float]:
        """Return the values of one loss, in the rounds that have it.

        Args:
            name: "student", or the name of a term.
        """
        return [r.losses[name] for r in self.rounds if name in r.losses]


def distill(
    teacher: nn.Module,
    student: nn.Module,
    image_spec: ImageSpec,
    classes: int,
    *,
    recipe: str | Recipe = "house",
    overrides: Mapping[str, float] | None = None,
    budget: int = 1_000,
    seed: int = 0,
    device: str | torch.device = "cpu",
    progress: Callable[[Round], None] | None = None,
) -> Distillation:
    """Train a student to imitate a teacher, without training data.

    The teacher keeps its weights; it is moved to `device`, set to eval mode, and its parameters no
    longer require gradients. The student is trained in place. Torch's global random state is
    seeded.

    Args:
        teacher: A trained classifier that takes normalized images and returns logits.
        student: The network to train.
        image_spec: Shape, normalization and value range of the teacher's images.
        classes: Number of classes.
        recipe: A key of `dfkd.RECIPES`, or a recipe.
        overrides: New values for some of the recipe's `settings`, by name.
        budget: Smallest number of student steps; it is rounded up to whole rounds.
        seed: The seed of all random draws.
        device: Where the networks are trained.
        progress: Called after every round with its report.

    Returns:
        The student and the record of its training.

    Raises:
        RecipeError: If the recipe or a setting is unknown, or if the recipe cannot be used with
            these networks.
        DivergedError: If the training fails after the last roll-back that is allowed.

    Examples:
        >>> spec = ImageSpec((1, 8, 8), mean=(0.5,), std=(0.25,))
        >>> teacher, student = (nn.Sequential(nn.Flatten(), nn.Linear(64, 3)) for _ in range(2))
        >>> small = {"batch": 8, "memory": 64, "student_steps": 4, "width": 4, "latent": 8}
        >>> result = distill(teacher, student, spec, classes=3, overrides=small, budget=12)
        >>> len(result.rounds), result.counts.student_steps, result.terms
        (3, 12, ('certainty', 'class-balance', 'adversary'))
    """
    if isinstance(recipe, str):
        if recipe not in RECIPES:
            raise RecipeError(f"unknown recipe {recipe!r}; known are {', '.join(RECIPES)}")
        recipe = RECIPES[recipe]
    recipe = recipe.overridden(overrides or {})
    place = torch.device(device)
    torch.manual_seed(seed)
    generator = build_generator(recipe, image_spec, classes)
    loop = Loop(
        recipe,
        teacher=_frozen(teacher.to(place)),
        generator=None if generator is None else generator.to(place),
        student=student.to(place),
        spec=image_spec,
        classes=classes,
        plan=for_student_steps(recipe, budget),
        seed=seed,
        device=place,
    )
    rounds: list[Round] = []

    def report(now: Round) -> None:
        rounds.append(now)
        if progress is not None:
            progress(now)

    loop.run(report)
    trained = loop.delivered
    assert trained is not None
    return Distillation(
        student=trained.eval(),
        generator=generator,
        recipe=recipe,
        rounds=tuple(rounds),
        counts=loop.counts,
        events=tuple(loop.health.events),
        terms=tuple(term.name for term in loop.terms),
    )


def _frozen(network: nn.Module) -> nn.Module:
    return network.eval().requires_grad_(False)
