"""Whether the outputs of two networks' stages can be compared as they are."""

import torch
from torch import nn

from dfkd.images import ImageSpec
from dfkd.models.forward_pass import look
from dfkd.recipe import Recipe, RecipeError


def check_stages(recipe: Recipe, teacher: nn.Module, student: nn.Module, spec: ImageSpec) -> None:
    """Refuse a student whose stages differ from the teacher's, where a recipe compares them.

    Args:
        recipe: The composition.
        teacher: On any device.
        student: On any device, in any mode.
        spec: The images.

    Raises:
        RecipeError: Names what each gives.
    """
    if not recipe.objective.stages:
        return
    theirs, ours = _shapes(teacher, spec), _shapes(student, spec)
    if theirs != ours:
        raise RecipeError(
            f"recipe {recipe.name} compares what the stages give: {_named(theirs)} in the teacher, "
            f"{_named(ours)} in the student; set stages to 0"
        )


@torch.no_grad()
def _shapes(network: nn.Module, spec: ImageSpec) -> list[tuple[int, ...]]:
    mode, device = network.training, next(network.parameters()).device
    seen = look(network.eval(), torch.zeros(1, *spec.shape, device=device), ("maps",))
    network.train(mode)
    return [tuple(stage.shape[1:]) for stage in seen.maps]


def _named(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes)
