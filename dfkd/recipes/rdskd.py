"""RDSKD: first a certain, balanced and diverse generator, then distillation from it, frozen.

Certainty and balance conflict, so each is replaced by the exponential of its increase over a
reference: an increase is penalized exponentially, a decrease is rewarded less and less.
"""

from dataclasses import replace

from dfkd.composition import (
    Adam,
    ConstantRate,
    ExpIncrement,
    GeneratorNetwork,
    KeptGenerator,
    Schedule,
    SoftKl,
    StepRate,
    Term,
)
from dfkd.recipe import Recipe

INCREASE = ExpIncrement(refresh=120)
"""The reference is refreshed once an epoch of 120 generator steps."""

NETWORK = GeneratorNetwork(trunk="upsample", head="tanh", latent=100, width=128, norm_eps=0.8)

RDSKD = Recipe(
    name="rdskd",
    citation="Han et al., Robustness and Diversity Seeking Data-Free KD, ICASSP 2021",
    role="published",
    synthesizer=KeptGenerator(NETWORK),
    terms=(
        Term("certainty", 1.0, wrapper=INCREASE),
        Term("class-balance", 1.0, wrapper=INCREASE),
        Term("inter-sample", 1.0),
    ),
    objective=SoftKl(temperature=10.0),
    schedule=Schedule(
        batch=512,
        generator_steps=0,
        warmup_rounds=20 * 120,
        rounds=1_000 * 120,
        frozen_norms=True,
    ),
    generator=Adam(1e-3, policy=ConstantRate()),
    student=Adam(2e-3, policy=ConstantRate()),
    notes=(
        "The MNIST settings. No figure of the paper's tables could be read.",
        "Unverified: whether the paper refreshes the reference every step or every epoch.",
        "Ours: the exponent is limited to 10; the generator's batch is the two halves together.",
    ),
)

RDSKD_CIFAR10 = replace(
    RDSKD,
    name="rdskd-cifar10",
    role="published-other-data",
    synthesizer=KeptGenerator(replace(NETWORK, latent=1000)),
    student=Adam(2e-3, policy=StepRate((0.8,))),
    notes=("The CIFAR-10 settings.", *RDSKD.notes[1:]),
)
