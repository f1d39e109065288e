"""The tables of objectives and updates. To add one, add a dataclass, a function and a row."""

from dfkd.composition import (
    AnyObjective,
    AnyUpdate,
    DifferenceEntropy,
    LogitL1,
    MetaStep,
    SoftKl,
    TwoSource,
)

OBJECTIVES: dict[type[AnyObjective], str] = {
    LogitL1: "dfkd.student_loss.logits:logit_l1",
    SoftKl: "dfkd.student_loss.logits:soft_kl",
    DifferenceEntropy: "dfkd.student_loss.logits:difference_entropy",
}
"""A function (student_logits, teacher_logits, **options) for every objective."""

UPDATES: dict[type[AnyUpdate], str] = {
    TwoSource: "dfkd.student_loss.updates:two_source_loss",
    MetaStep: "dfkd.student_loss.meta_step:meta_loss",
}
"""A function (student, update, new, replayed) -> loss for every update."""
