"""How the student learns from new and from replayed images: three losses, one step each."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dfkd.composition import AnyObjective, AnyUpdate, MetaStep, TwoSource
from dfkd.memory.labelled_batch import Lesson
from dfkd.models.forward_pass import look
from dfkd.models.teacher import reduced
from dfkd.training.objectives import OBJECTIVES, attention_distance, stage_distance


class Pupil:
    """The student with its objective.

    Args:
        student: In the mode it should learn in.
        objective: What it minimises.
        precision: What its arithmetic runs in; losses are float32.
    """

    def __init__(
        self, student: nn.Module, objective: AnyObjective, precision: torch.dtype = torch.float32
    ) -> None:
        self.student, self.objective, self.precision = student, objective, precision

    def loss(self, lesson: Lesson) -> Tensor:
        """The objective on one lesson."""
        needs = ("maps",) if self.objective.compares_maps else ()
        with reduced(lesson.images.device, self.precision):
            seen = look(self.student, lesson.images, needs)
        loss = self.distance(seen.logits, lesson.logits)
        if self.objective.attention:
            loss = loss + self.objective.attention * attention_distance(seen.maps, lesson.maps)
        if self.objective.stages:
            loss = loss + self.objective.stages * stage_distance(seen.maps, lesson.maps)
        return loss

    def distance(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """The objective on logits alone."""
        return OBJECTIVES[type(self.objective)](ours, theirs, self.objective)


def learning_loss(
    pupil: Pupil, update: AnyUpdate | None, new: Lesson | None, replayed: Lesson | None
) -> Tensor:
    """The loss of one student step, as the recipe's update asks.

    Args:
        pupil: The student.
        update: The recipe's description.
        new: Images of the present generator.
        replayed: Images of the past; at least one of both.

    Returns:
        A scalar; its gradient is the step.
    """
    if new is None or replayed is None:
        only = new if replayed is None else replayed
        assert only is not None
        return pupil.loss(only)
    if isinstance(update, TwoSource):
        return pupil.loss(new) + update.replay_weight * pupil.loss(replayed)
    if isinstance(update, MetaStep):
        return _meta(pupil, update, new, replayed)
    return pupil.loss(new.joined(replayed))


def _meta(pupil: Pupil, update: MetaStep, new: Lesson, replayed: Lesson) -> Tensor:
    """LRA (Patel et al. 2023, eq. 6): L(theta; new and replayed) + L(theta'; replayed).

    theta' = theta - inner_lr grad L(theta; new). The gradient goes back through theta' to theta,
    in second order unless the update says otherwise.
    """
    student = pupil.student
    joined = new.joined(replayed)
    with reduced(joined.images.device, pupil.precision):
        answers = student(joined.images).float()
    acquired = pupil.distance(answers[: len(new.images)], new.logits)
    theta = {name: p for name, p in student.named_parameters() if p.requires_grad}
    stepped = virtual_step(theta, acquired, update)
    # The virtual student must not touch the running statistics of the real one.
    buffers = {name: b.clone() for name, b in student.named_buffers()}
    with reduced(replayed.images.device, pupil.precision):
        retained = functional_call(student, {**stepped, **buffers}, (replayed.images,)).float()
    meta_test = pupil.distance(retained, replayed.logits)
    return pupil.distance(answers, joined.logits) + meta_test


def virtual_step(
    theta: dict[str, nn.Parameter], loss: Tensor, update: MetaStep
) -> dict[str, Tensor]:
    """Parameters after one step of gradient descent on `loss`, still attached to `theta`."""
    parameters: Sequence[nn.Parameter] = list(theta.values())
    gradients = torch.autograd.grad(
        loss, parameters, create_graph=not update.first_order, retain_graph=True
    )
    return {
        name: parameter - update.inner_lr * gradient
        for (name, parameter), gradient in zip(theta.items(), gradients, strict=True)
    }
