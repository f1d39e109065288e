"""Warnings about a teacher's outputs for structured images."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from dfkd.images import ImageSpec

MIN_REACTION = 0.01
"""Smallest standard deviation of a logit across images, relative to the standard deviation of the
logits of one image. Trained teachers reach 0.5 to 0.8."""

DOMINANT_SHARE = 0.9

SYNTHESIZED = 8
"""Images that are changed towards a class each."""

STEPS = 10

STEP_SIZE = 0.1
"""Change of a pixel in a step, relative to the width of the value range."""


def output_warnings(teacher: nn.Module, spec: ImageSpec, images: Tensor) -> Iterator[str]:
    """Yield what is wrong with the teacher's outputs.

    Log-probabilities are not reported: their softmax, and so the teacher's classes and
    probabilities, are those of the logits.

    Args:
        teacher: The teacher, frozen and in eval mode.
        spec: The images that it takes.
        images: Structured images, normalized.
    """
    with torch.no_grad():
        logits = teacher(images).double()
    if not logits.isfinite().all():
        yield "teacher: its logits are not finite for some images; check the weights and the input"
        return
    across, within = (logits.std(axis).square().mean().sqrt().item() for axis in (0, 1))
    if not across > MIN_REACTION * within:
        yield (
            "teacher: its logits do not react to the image (their standard deviation across "
            f"images is {across:.2g}, across classes {within:.2g}); check the weights, input.mean, "
            "input.std and input.value_range"
        )
        return
    if logits.ge(0).all() and logits.sum(1).sub(1).abs().lt(1e-3).all():
        yield (
            "teacher: it returns probabilities (each row is non-negative with sum 1), not logits; "
            "training applies a softmax once more, which makes all classes almost equal; "
            "remove the softmax from the network"
        )
    share = dominant_share(logits)
    if share >= DOMINANT_SHARE:
        best = dominant_share(_logits_of_synthesized(teacher, spec, images[:SYNTHESIZED]))
        if best >= DOMINANT_SHARE:
            yield (
                f"teacher: it predicts class {int(logits.argmax(1).mode().values)} for "
                f"{100 * share:.0f} % of structured images, and for {100 * best:.0f} % of images "
                "optimized for other classes; check the weights, input.mean, input.std and "
                "input.value_range"
            )


def dominant_share(logits: Tensor) -> float:
    """Return the share of the class that logits (N, K) predict most often."""
    return float(torch.bincount(logits.argmax(1)).max()) / len(logits)


def _logits_of_synthesized(teacher: nn.Module, spec: ImageSpec, images: Tensor) -> Tensor:
    """Change each image towards another class by signed gradients, and return the logits."""
    ends = torch.tensor(spec.value_range)
    deviation = torch.tensor(spec.std, device=images.device).view(1, -1, 1, 1)
    step = STEP_SIZE * float(ends[1] - ends[0]) / deviation
    for _ in range(STEPS):
        given = images.detach().requires_grad_()
        logits = teacher(given)
        count, classes = logits.shape
        wanted = torch.arange(count, device=images.device) * max(1, classes // count) % classes
        loss = torch.nn.functional.cross_entropy(logits.float(), wanted)
        (gradient,) = torch.autograd.grad(loss, given)
        images = spec.clamp(images - step * gradient.sign())
    with torch.no_grad():
        changed: Tensor = teacher(images).double()
    return changed
