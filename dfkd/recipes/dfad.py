"""DFAD: the student minimizes its distance to the teacher's logits, the generator maximizes it."""

from dataclasses import replace

from dfkd.composition import (
    Adam,
    ConstantRate,
    GeneratorNetwork,
    KeptGenerator,
    LogitL1,
    Schedule,
    Sgd,
    StepRate,
    Term,
)
from dfkd.recipe import Recipe

NETWORK = GeneratorNetwork(trunk="upsample", head="tanh", latent=100, width=128)

DFAD = Recipe(
    name="dfad",
    citation="Fang et al., Data-Free Adversarial Distillation, 2019, arXiv 1912.11006",
    role="published",
    synthesizer=KeptGenerator(NETWORK),
    terms=(Term("adversary-l1", 1.0),),
    objective=LogitL1(),
    schedule=Schedule(batch=512, fresh_batches=5, student_steps=5, rounds=40 * 50),
    generator=Adam(1e-3, policy=ConstantRate()),
    student=Sgd(0.01, weight_decay=1e-4, policy=ConstantRate()),
    reported={
        "MNIST LeNet-5 -> LeNet-5-half": "98.3 +- 0.2 (teacher 98.9), the authors' repository",
        "CIFAR-10 ResNet-34 -> ResNet-18": "93.3 (teacher 95.5), the authors' repository",
    },
    notes=(
        "The settings are those for MNIST.",
        "With the wrapper Log1p, the term is the weaker loss that is commented out in the "
        "published code.",
    ),
)

DFAD_CIFAR10 = replace(
    DFAD,
    name="dfad-cifar10",
    role="published-other-data",
    synthesizer=KeptGenerator(replace(NETWORK, latent=256)),
    schedule=replace(DFAD.schedule, batch=256, rounds=500 * 50),
    generator=Adam(1e-3, policy=StepRate((0.2, 0.4))),
    student=Sgd(0.1, weight_decay=5e-4, policy=StepRate((0.2, 0.4))),
    notes=("The settings are those for CIFAR.",),
)
