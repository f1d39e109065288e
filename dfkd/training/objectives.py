"""What the student minimises, given its logits and the teacher's, both (N, K)."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from dfkd.composition import AnyObjective, DifferenceEntropy, LogitL1, SoftKl


def logit_l1(student: Tensor, teacher: Tensor, objective: LogitL1) -> Tensor:
    """Mean absolute difference of logits (DFAD, Fang et al. 2019): never saturates."""
    return F.l1_loss(student, teacher)


def soft_kl(student: Tensor, teacher: Tensor, objective: SoftKl) -> Tensor:
    """T^2 KL(teacher || student) of softened answers, batch mean (Hinton et al. 2015)."""
    temperature = objective.temperature
    return temperature**2 * F.kl_div(
        F.log_softmax(student / temperature, 1),
        F.log_softmax(teacher / temperature, 1),
        reduction="batchmean",
        log_target=True,
    )


def difference_entropy(student: Tensor, teacher: Tensor, objective: DifferenceEntropy) -> Tensor:
    """-T^2 times the mean entropy of softmax((teacher - student) / T) (AdaDFQ, Qian et al. 2023).

    Smallest, -T^2 log K, where the logits differ by a constant.
    """
    temperature = objective.temperature
    logs = F.log_softmax((teacher - student) / temperature, 1)
    return temperature**2 * (logs.exp() * logs).sum(1).mean()


def attention_distance(student: list[Tensor], teacher: list[Tensor]) -> Tensor:
    """Distance between attention maps (Zagoruyko and Komodakis 2017, as used by ZSKT).

    An attention map is the channel mean of squared activations, flattened over positions and
    scaled to unit length; the distance is the mean squared difference, summed over layers.
    """
    total = torch.zeros((), device=student[0].device)
    for ours, theirs in zip(student, teacher, strict=True):
        difference = _attention(ours) - _attention(theirs)
        total = total + difference.square().mean()
    return total


def stage_distance(student: list[Tensor], teacher: list[Tensor]) -> Tensor:
    """Distance between the outputs of layers, (N, C, H, W) each (FitNets, Romero et al. 2015).

    The squared difference over the teacher's square, summed over layers: each counts alike,
    whatever its scale.
    """
    total = torch.zeros((), device=student[0].device)
    for ours, theirs in zip(student, teacher, strict=True):
        total = total + _relative(ours, theirs)
    return total


def _relative(ours: Tensor, theirs: Tensor) -> Tensor:
    return (ours - theirs).square().mean() / theirs.square().mean().clamp_min(1e-12)


def _attention(activations: Tensor) -> Tensor:
    return F.normalize(activations.square().mean(1).flatten(1), dim=1)


OBJECTIVES: dict[type[AnyObjective], Callable[..., Tensor]] = {
    LogitL1: logit_l1,
    SoftKl: soft_kl,
    DifferenceEntropy: difference_entropy,
}
