"""Distances between the feature maps of student and teacher."""

import torch
import torch.nn.functional as F
from torch import Tensor


def attention_distance(student_maps: list[Tensor], teacher_maps: list[Tensor]) -> Tensor:
    """Return the distance between attention maps (Zagoruyko and Komodakis 2017, used by ZSKT).

    An attention map is the channel mean of squared activations, flattened over positions and
    scaled to unit length. The distance is the mean squared difference, summed over layers.

    Args:
        student_maps: (N, C, H, W) each.
        teacher_maps: (N, C', H, W) each.
    """
    total = torch.zeros((), device=student_maps[0].device)
    for student, teacher in zip(student_maps, teacher_maps, strict=True):
        difference = _attention(student) - _attention(teacher)
        total = total + difference.square().mean()
    return total


def stage_distance(student_maps: list[Tensor], teacher_maps: list[Tensor]) -> Tensor:
    """Return the distance between the outputs of stages (FitNets, Romero et al. 2015).

    Squared difference divided by the teacher's mean square, summed over layers, so that all layers
    count equally whatever their scale.

    Args:
        student_maps: (N, C, H, W) each.
        teacher_maps: (N, C, H, W) each.

    Examples:
        >>> stage_distance([torch.zeros(1, 2, 4, 4)], [torch.ones(1, 2, 4, 4)]).item()
        1.0
    """
    total = torch.zeros((), device=student_maps[0].device)
    for student, teacher in zip(student_maps, teacher_maps, strict=True):
        total = total + _relative(student, teacher)
    return total


def _relative(student: Tensor, teacher: Tensor) -> Tensor:
    return (student - teacher).square().mean() / teacher.square().mean().clamp_min(1e-12)


def _attention(activations: Tensor) -> Tensor:
    return F.normalize(activations.square().mean(1).flatten(1), dim=1)
