"""DeepInversion: pixels are optimized to match labels and the stored batch-norm statistics."""

from dfkd.composition import (
    Adam,
    ConstantRate,
    ImagePool,
    PixelOptimization,
    Schedule,
    Sgd,
    SoftKl,
    Term,
)
from dfkd.recipe import Recipe

DEEPINVERSION = Recipe(
    name="deepinversion",
    citation="Yin et al., Dreaming to Distill: Data-free Knowledge Transfer via DeepInversion, "
    "CVPR 2020",
    role="published",
    synthesizer=PixelOptimization(steps=2_000, augment="roll"),
    terms=(
        Term("label-certainty", 1.0),
        Term("batch-norm-l2", 10.0),
        Term("total-variation", 2.5e-5),
    ),
    memory=ImagePool(capacity=256_000),
    objective=SoftKl(temperature=3.0),
    schedule=Schedule(
        batch=256,
        generator_steps=0,
        fresh_batches=0,
        student_steps=50,
        warmup_rounds=1_000,
        rounds=1_000,
    ),
    generator=Adam(0.05, policy=ConstantRate()),
    student=Sgd(0.1, weight_decay=5e-4),
    reported={"CIFAR-10 ResNet-34 -> ResNet-18": "below ADI's 93.26"},
    notes=(
        "The student's settings are not published. The temperature of 3 and the number of 256,000"
        " images are from the authors, in an issue. Ours: the student's optimizer and number of "
        "steps.",
    ),
)
