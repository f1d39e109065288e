"""DAFL: the teacher is a fixed discriminator; one batch trains both generator and student."""

from dataclasses import replace

from dfkd.composition import (
    Adam,
    ConstantRate,
    GeneratorNetwork,
    KeptGenerator,
    Schedule,
    Sgd,
    SoftKl,
    StepRate,
    Term,
)
from dfkd.recipe import Recipe

NETWORK = GeneratorNetwork(trunk="upsample", head="tanh", latent=100, width=128, norm_eps=0.8)

DAFL = Recipe(
    name="dafl",
    citation="Chen et al., Data-Free Learning of Student Networks, ICCV 2019",
    role="published",
    synthesizer=KeptGenerator(NETWORK),
    terms=(
        Term("certainty", 1.0),
        Term("class-balance", 5.0, options={"base": 10}),
        Term("activation", 0.1),
    ),
    objective=SoftKl(temperature=1.0),
    schedule=Schedule(batch=512, rounds=200 * 120, fresh="generator-batch"),
    generator=Adam(0.2, policy=ConstantRate()),
    student=Adam(2e-3, policy=ConstantRate()),
    reported={
        "MNIST LeNet-5 -> LeNet-5-half": "98.20 (teacher 98.91), the authors' repository",
        "CIFAR-10 ResNet-34 -> ResNet-18": "92.22 (teacher 95.58), the authors' repository",
    },
    notes=("The settings are those for MNIST. Users report between 53 and 74 % on CIFAR-100.",),
)

DAFL_CIFAR10 = replace(
    DAFL,
    name="dafl-cifar10",
    role="published-other-data",
    synthesizer=KeptGenerator(replace(NETWORK, latent=1000)),
    terms=(
        Term("certainty", 0.05),
        Term("class-balance", 5.0, options={"base": 10}),
        Term("activation", 0.01),
    ),
    schedule=replace(DAFL.schedule, batch=1024, rounds=2_000 * 120),
    generator=Adam(0.02, policy=ConstantRate()),
    student=Sgd(0.1, weight_decay=5e-4, policy=StepRate((0.4, 0.8))),
    notes=("The settings are those for CIFAR-10.",),
)
