"""MB-DFKD: a small bank of earlier batches is replayed, so that the student forgets less."""

from dfkd.composition import (
    Adam,
    BatchBank,
    ConstantRate,
    CosineRate,
    GeneratorNetwork,
    KeptGenerator,
    LogitL1,
    Schedule,
    Sgd,
    Term,
)
from dfkd.recipe import Recipe

NOVEL = (
    Term("certainty", 1.0),
    Term("class-balance", 5.0, options={"base": 10}),
    Term("activation", 0.1),
    Term("adversary-js", 1.0, options={"temperature": 3.0, "reduction": "mean", "clamp": 0.01}),
)
"""The generator's loss of MB-DFKD, PRE-DFKD and LRA."""

MB_DFKD = Recipe(
    name="mb-dfkd",
    citation="Binici et al., Preventing Catastrophic Forgetting and Distribution Mismatch in "
    "Knowledge Distillation via Synthetic Data, WACV 2022",
    role="published",
    synthesizer=KeptGenerator(
        GeneratorNetwork(
            trunk="upsample", head="tanh", latent=1000, width=128, norm_eps=0.8, spectral=True
        )
    ),
    terms=NOVEL,
    memory=BatchBank(capacity=10, share=1 / 8, every=5 * 36),
    objective=LogitL1(),
    schedule=Schedule(batch=1024, fresh_batches=10, student_steps=10, rounds=400 * 36),
    generator=Adam(0.02, policy=ConstantRate()),
    student=Sgd(0.1, weight_decay=5e-4, policy=CosineRate(final=0.0)),
    reported={"CIFAR-10 ResNet-34 -> ResNet-18": "peak 92.4, mu 83.3 (third-party table)"},
    notes=(
        "The settings are those of LRA's re-implementation; the original code was not found.",
        "The settings are those for CIFAR. On MNIST the published student is trained with Adam, "
        "at an unknown learning rate.",
    ),
)
