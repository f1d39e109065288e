"""Data-free knowledge distillation and quantization of networks in memory.

This package does not read files or parse YAML. Its names are loaded when they are first used, so
that `import dfkd` does not import torch.

Examples:
    >>> import dfkd
    >>> dfkd.RECIPES["house"].schedule.batch
    128
"""

from typing import TYPE_CHECKING, Any

from dfkd.references import load

if TYPE_CHECKING:
    from dfkd.distillation import Distillation, distill
    from dfkd.images import ImageSpec
    from dfkd.models.construction import build as build_network
    from dfkd.recipe import Recipe, RecipeError
    from dfkd.recipes import RECIPES
    from dfkd.synthesizers.make import build_generator
    from dfkd.training.budget import Plan, for_student_steps, for_teacher_passes
    from dfkd.training.loop import DivergedError, Loop, Round

__all__ = [
    "RECIPES",
    "Distillation",
    "DivergedError",
    "ImageSpec",
    "Loop",
    "Plan",
    "Recipe",
    "RecipeError",
    "Round",
    "build_generator",
    "build_network",
    "distill",
    "for_student_steps",
    "for_teacher_passes",
]

_LAZY = {
    "RECIPES": "dfkd.recipes:RECIPES",
    "Distillation": "dfkd.distillation:Distillation",
    "DivergedError": "dfkd.training.loop:DivergedError",
    "ImageSpec": "dfkd.images:ImageSpec",
    "Loop": "dfkd.training.loop:Loop",
    "Plan": "dfkd.training.budget:Plan",
    "Recipe": "dfkd.recipe:Recipe",
    "RecipeError": "dfkd.errors:RecipeError",
    "Round": "dfkd.training.round_report:Round",
    "build_generator": "dfkd.synthesizers.make:build_generator",
    "build_network": "dfkd.models.construction:build",
    "distill": "dfkd.distillation:distill",
    "for_student_steps": "dfkd.training.budget:for_student_steps",
    "for_teacher_passes": "dfkd.training.budget:for_teacher_passes",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return load(_LAZY[name])
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
