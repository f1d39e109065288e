"""A check that the outputs of the stages (groups of layers) of both networks have equal shapes."""

import torch
from torch import nn

from dfkd.composition import Composition
from dfkd.errors import RecipeError
from dfkd.images import ImageSpec
from dfkd.models.forward_pass import forward_with_features


def check_stages(
    recipe: Composition, teacher: nn.Module, student: nn.Module, spec: ImageSpec
) -> None:
    """Check that the stages' outputs have the same shapes, if the recipe compares them.

    Args:
        recipe: The recipe.
        teacher: The teacher, on any device.
        student: The student, on any device and in any mode.
        spec: Shape of the images.

    Raises:
        RecipeError: If the shapes differ.
    """
    if not recipe.objective.stages:
        return
    of_teacher, of_student = _shapes(teacher, spec), _shapes(student, spec)
    if of_teacher != of_student:
        raise RecipeError(
            f"the recipe compares stages of different shapes: {_text(of_teacher)} in the teacher, "
            f"{_text(of_student)} in the student; set stages to 0"
        )


@torch.no_grad()
def _shapes(network: nn.Module, spec: ImageSpec) -> list[tuple[int, ...]]:
    mode, device = network.training, next(network.parameters()).device
    images = torch.zeros(1, *spec.shape, device=device)
    seen = forward_with_features(network.eval(), images, ("maps",))
    network.train(mode)
    return [tuple(stage.shape[1:]) for stage in seen.maps]


def _text(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes)
