"""LRA: a trial step on new images must not increase the student's loss on replayed images."""

from dataclasses import replace

from dfkd.composition import MetaStep
from dfkd.recipes.pre_dfkd import PRE_DFKD

LRA = replace(
    PRE_DFKD,
    name="lra",
    citation="Patel et al., Learning to Retain while Acquiring, CVPR 2023",
    update=MetaStep(inner_lr=0.001),
    schedule=replace(PRE_DFKD.schedule, batch=512, rounds=400 * 72),
    reported={"CIFAR-100 ResNet-34 -> ResNet-18": "peak 77.21, generative replay (public note)"},
    notes=(
        "Ours: inner_lr 0.001, the best of 0.05, 0.01 and 0.001 on held-out images (one seed "
        "each). The published code has 0.9 with momentum, but its meta-test loss gives the "
        "student no gradient, so that value has no effect.",
        *PRE_DFKD.notes,
    ),
)
