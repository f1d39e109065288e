"""Fast-Datafree: a meta-learned generator needs only a few steps for each batch."""

from dfkd.composition import (
    Adam,
    ConstantRate,
    CosineRate,
    GeneratorNetwork,
    ImagePool,
    MetaGenerator,
    Schedule,
    Sgd,
    SoftKl,
    Term,
)
from dfkd.recipe import Recipe

FAST_DATAFREE = Recipe(
    name="fast-datafree",
    citation="Fang et al., Up to 100x Faster Data-Free Knowledge Distillation, AAAI 2022",
    role="published",
    synthesizer=MetaGenerator(
        GeneratorNetwork(trunk="upsample", head="sigmoid", latent=256, width=128),
        steps=5,
        latent_lr=0.01,
        renew_every=140,
    ),
    terms=(
        Term("batch-norm-average", 10.0, options={"momentum": 0.9}),
        Term("label-certainty", 0.4),
        Term("adversary-while-agreed", 1.1),
    ),
    memory=ImagePool(capacity=220 * 256),
    objective=SoftKl(temperature=20.0),
    schedule=Schedule(batch=256, fresh_batches=0, student_steps=400, warmup_rounds=20, rounds=200),
    generator=Adam(3e-3, policy=ConstantRate()),
    student=Sgd(0.2, weight_decay=1e-4, policy=CosineRate(final=1e-3)),
    reported={
        "CIFAR-10 ResNet-34 -> ResNet-18": "94.05 with ten steps, the authors' repository",
        "CIFAR-10 WRN-40-2 -> WRN-16-1": "89.29 with ten steps, the authors' repository",
    },
    notes=("The variant with five steps for each batch and first-order MAML.",),
)
