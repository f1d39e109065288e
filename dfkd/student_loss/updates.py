"""The loss of one student step from new and replayed images."""

import torch
from torch import Tensor, nn

from dfkd.composition import AnyObjective, AnyUpdate, TwoSource
from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.models.forward_pass import forward_with_features
from dfkd.models.precision import reduced
from dfkd.references import load
from dfkd.student_loss.feature_maps import attention_distance, stage_distance
from dfkd.student_loss.table import OBJECTIVES, UPDATES


class StudentObjective:
    """A student with its objective.

    Args:
        student: In the mode in which it is trained.
        objective: The recipe's description.
        precision: Of its arithmetic; losses are float32.
    """

    def __init__(
        self, student: nn.Module, objective: AnyObjective, precision: torch.dtype = torch.float32
    ) -> None:
        self.student, self.objective, self.precision = student, objective, precision
        self._distance = load(OBJECTIVES[type(objective)])

    def loss(self, batch: LabelledBatch) -> Tensor:
        """Return the objective on a batch, a scalar."""
        needs = ("maps",) if self.objective.compares_maps else ()
        with reduced(batch.images.device, self.precision):
            seen = forward_with_features(self.student, batch.images, needs)
        loss = self.distance(seen.logits, batch.logits)
        if self.objective.attention:
            loss = loss + self.objective.attention * attention_distance(seen.maps, batch.maps)
        if self.objective.stages:
            loss = loss + self.objective.stages * stage_distance(seen.maps, batch.maps)
        return loss

    def distance(self, student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
        """Return the objective on logits (N, K) alone, a scalar."""
        distance: Tensor = self._distance(
            student_logits, teacher_logits, **self.objective.logit_options
        )
        return distance


def step_loss(
    student: StudentObjective,
    update: AnyUpdate | None,
    new: LabelledBatch | None,
    replayed: LabelledBatch | None,
) -> Tensor:
    """Return the loss of one student step, a scalar whose gradient is the step.

    Args:
        student: The student with its objective.
        update: The recipe's description; None takes all images as one batch.
        new: Images of the present generator.
        replayed: Images from the memory; at least one of both is given.
    """
    if new is None or replayed is None:
        only = new if replayed is None else replayed
        assert only is not None
        return student.loss(only)
    if update is None:
        return student.loss(new.joined(replayed))
    loss: Tensor = load(UPDATES[type(update)])(student, update, new, replayed)
    return loss


def two_source_loss(
    student: StudentObjective, update: TwoSource, new: LabelledBatch, replayed: LabelledBatch
) -> Tensor:
    """Return the loss on new images plus the weighted loss on replayed ones (MAD)."""
    return student.loss(new) + update.replay_weight * student.loss(replayed)
