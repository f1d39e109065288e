"""ZSKT (also MSKD): an adversarial KL term; each batch of latents is used for ten student steps."""

from dfkd.composition import (
    Adam,
    CosineRate,
    GeneratorNetwork,
    KeptGenerator,
    Schedule,
    SoftKl,
    Term,
)
from dfkd.recipe import Recipe

ZSKT = Recipe(
    name="zskt",
    citation="Micaelli and Storkey, Zero-shot Knowledge Transfer via Adversarial Belief Matching, "
    "NeurIPS 2019",
    role="published",
    synthesizer=KeptGenerator(
        GeneratorNetwork(trunk="upsample", head="free", latent=100, width=128)
    ),
    terms=(Term("adversary", 1.0),),
    objective=SoftKl(temperature=1.0, attention=2500.0),
    schedule=Schedule(batch=128, student_steps=10, rounds=80_000 // 11, fresh="same-latents"),
    generator=Adam(1e-3, policy=CosineRate(final=0.0), clip=50.0),
    student=Adam(2e-3, policy=CosineRate(final=0.0), clip=50.0),
    reported={
        "CIFAR-10 ResNet-34 -> ResNet-18": "93.32 (CMI's repository)",
        "CIFAR-10 WRN-40-2 -> WRN-16-1": "83.74 (CMI's repository)",
    },
    notes=(
        "The published KL is a mean over elements; here it is a mean over the batch, which is ten"
        " times as large for 10 classes. Therefore attention 2500 and clip 50 correspond to the "
        "published 250 and 5.",
    ),
)
