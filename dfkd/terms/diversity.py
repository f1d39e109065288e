"""Diversity terms, which make the images of a batch differ from each other."""

import torch
import torch.nn.functional as F
from torch import Tensor

FLOOR = 1e-6
"""Added to norms, to avoid a division by zero and an infinite gradient."""


def inter_sample(images: Tensor, teacher_logits: Tensor) -> Tensor:
    """Return |p2 - p1| / |x2 - x1| over the two halves of a batch (RDSKD, Han et al. 2021).

    p1 and x1 are the teacher's predictions and the images of the first half; p2 and x2 are those of
    the second. |.| is the Frobenius norm of a half. The term penalizes different predictions for
    similar images. The last image of an odd batch is left out.

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

    The loss is small if features of the same class are close and those of different classes are far
    from each other. An image whose class occurs only once in the batch is left out. The loss is
    zero if no two images have the same class.

    Args:
        features: (N, F), features of the teacher.
        labels: (N,), classes.
        temperature: Divides the cosine similarities.
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

    f is the teacher's feature vector, scaled to unit length, and z is the latent vector (eq. 3 of
    the paper). The value is zero if no two images have the same class.

    Args:
        features: (N, F), features of the teacher.
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
