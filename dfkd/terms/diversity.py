"""Diversity terms: different images, by the teacher's outputs or by the pixels."""

import torch
import torch.nn.functional as F
from torch import Tensor

FLOOR = 1e-6
"""Added to norms that divide or that have a gradient."""


def inter_sample(images: Tensor, teacher_logits: Tensor) -> Tensor:
    """Return |p2 - p1| / |x2 - x1| over the two halves of a batch (RDSKD, Han et al. 2021).

    Frobenius norms over a whole half. Different predictions must come from different images. The
    last image of an odd batch is left out.

    Args:
        images: (N, C, H, W).
        teacher_logits: (N, K).
    """
    predictions = teacher_logits.softmax(1)
    half = len(predictions) // 2
    difference = predictions[half : 2 * half] - predictions[:half]
    distance = difference.square().sum().add(FLOOR**2).sqrt()
    return distance / ((images[half : 2 * half] - images[:half]).norm() + FLOOR)


def metric(features: Tensor, labels: Tensor, temperature: float = 0.1) -> Tensor:
    """Return the supervised contrastive loss on the features (Khosla et al. 2020, eq. 2).

    Images of one class attract each other, others repel. An image without another one of its class
    is left out; the loss is zero when there is no pair.

    Args:
        features: (N, F), the teacher's.
        labels: (N,), classes.
        temperature: Divides the cosines.
    """
    directions = F.normalize(features, dim=1)
    cosines = directions @ directions.T / temperature
    itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    logs = F.log_softmax(cosines.masked_fill(itself, float("-inf")), 1).masked_fill(itself, 0.0)
    same_class = (labels[:, None] == labels) & ~itself
    count = same_class.sum(1)
    if not count.any():
        return 0.0 * features.sum()
    return -((logs * same_class).sum(1)[count > 0] / count[count > 0]).mean()


def mode_seeking(features: Tensor, labels: Tensor, latents: Tensor) -> Tensor:
    """Return the negative mean of |f1 - f2| / |z1 - z2| over pairs of one class (Mao et al. 2019).

    f is the teacher's feature vector scaled to unit length, z the latent vector (eq. 3 of the
    paper). Zero when there is no pair.

    Args:
        features: (N, F), the teacher's.
        labels: (N,), classes.
        latents: (N, latent).
    """
    order = labels.argsort(stable=True)
    first, second = order[:-1], order[1:]
    pairs = labels[first] == labels[second]
    if not pairs.any():
        return 0.0 * features.sum()
    first, second = first[pairs], second[pairs]
    directions = F.normalize(features, dim=1)
    distance = (directions[first] - directions[second]).square().sum(1).add(FLOOR**2).sqrt()
    return -(distance / ((latents[first] - latents[second]).norm(dim=1) + FLOOR)).mean()
