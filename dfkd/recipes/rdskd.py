"""RDSKD: train a generator for certainty, balance and diversity; then freeze it and distil.

Certainty and balance conflict, so each is replaced by the exponential of its increase over a
reference value. An increase then raises the loss exponentially; a decrease lowers it less and less.
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
"""The reference is refreshed after each epoch of 120 generator steps."""

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
        "The settings are those for MNIST. No figure of the paper's tables could be read.",
        "Unverified: whether the paper refreshes the reference every step or every epoch.",
        "Ours: the exponent is limited to 10, and the generator's batch consists of both halves.",
    ),
)

RDSKD_CIFAR10 = replace(
    RDSKD,
    name="rdskd-cifar10",
    role="published-other-data",
    synthesizer=KeptGenerator(replace(NETWORK, latent=1000)),
    student=Adam(2e-3, policy=StepRate((0.8,))),
    notes=("The settings are those for CIFAR-10.", *RDSKD.notes[1:]),
)
