"""ADI: DeepInversion that continues during distillation, with an adversary."""

from dataclasses import replace

from dfkd.composition import Term
from dfkd.recipes.deepinversion import DEEPINVERSION

ADI = replace(
    DEEPINVERSION,
    name="adi",
    terms=(
        *DEEPINVERSION.terms,
        Term(
            "adversary-js",
            1.0,
            options={"temperature": 3.0, "reduction": "batchmean", "clamp": 0.01},
        ),
    ),
    schedule=replace(DEEPINVERSION.schedule, generator_steps=1, warmup_rounds=100, rounds=900),
    reported={"CIFAR-10 ResNet-34 -> ResNet-18": "93.26 (CMI's repository)"},
    notes=(
        "Ours: the adversary's weight of 1 (the default in the code is 0), and the 100 batches "
        "that are made before the first student step. The rate of one new batch every 50 student "
        "steps is from an issue.",
        *DEEPINVERSION.notes,
    ),
)
