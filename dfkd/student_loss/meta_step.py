"""LRA's meta step: learning the new images must not harm the replayed ones (Patel et al. 2023)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dfkd.composition import MetaStep
from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.models.precision import reduced
from dfkd.student_loss.updates import StudentObjective


def meta_loss(
    objective: StudentObjective, update: MetaStep, new: LabelledBatch, replayed: LabelledBatch
) -> Tensor:
    """Return L(theta; new and replayed) + L(theta'; replayed) (eq. 6 of the paper).

    theta' = theta - inner_lr grad L(theta; new). The gradient flows through theta' to theta, to the
    second order unless the update is of first order.
    """
    student = objective.student
    joined = new.joined(replayed)
    with reduced(joined.images.device, objective.precision):
        logits = student(joined.images).float()
    on_new = objective.distance(logits[: len(new.images)], new.logits)
    theta = {name: p for name, p in student.named_parameters() if p.requires_grad}
    stepped = virtual_step(theta, on_new, update)
    # The virtual student must not change the running statistics of the real one.
    buffers = {name: b.clone() for name, b in student.named_buffers()}
    with reduced(replayed.images.device, objective.precision):
        after = functional_call(student, {**stepped, **buffers}, (replayed.images,)).float()
    meta_test = objective.distance(after, replayed.logits)
    return objective.distance(logits, joined.logits) + meta_test


def virtual_step(
    theta: dict[str, nn.Parameter], loss: Tensor, update: MetaStep
) -> dict[str, Tensor]:
    """Return the parameters after one gradient step on `loss`, differentiable in `theta`.

    Args:
        theta: Parameters by name.
        loss: A scalar that depends on them.
        update: Learning rate and order.
    """
    parameters: Sequence[nn.Parameter] = list(theta.values())
    gradients = torch.autograd.grad(
        loss, parameters, create_graph=not update.first_order, retain_graph=True
    )
    return {
        name: parameter - update.inner_lr * gradient
        for (name, parameter), gradient in zip(theta.items(), gradients, strict=True)
    }
