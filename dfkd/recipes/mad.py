"""MAD: the student also learns from the running average of the generator."""

from dfkd.composition import (
    Adam,
    AverageGenerator,
    Bounded,
    GeneratorNetwork,
    KeptGenerator,
    Schedule,
    Sgd,
    SoftKl,
    Term,
    TwoSource,
)
from dfkd.recipe import Recipe

MAD = Recipe(
    name="mad",
    citation="Do et al., Momentum Adversarial Distillation, NeurIPS 2022, arXiv 2209.10359",
    role="published",
    synthesizer=KeptGenerator(
        GeneratorNetwork(trunk="upsample", head="tanh", latent=256, width=128),
        conditioning="sum",
    ),
    terms=(
        Term("adversary", 1.0, wrapper=Bounded(bound=1.0)),
        Term("label-certainty", 1.0),
    ),
    memory=AverageGenerator(decay=0.95),
    objective=SoftKl(temperature=4.0),
    update=TwoSource(replay_weight=1.0),
    schedule=Schedule(
        batch=256, fresh_batches=5, student_steps=5, warmup_rounds=500, rounds=25_000
    ),
    generator=Adam(1e-3),
    student=Sgd(0.1, weight_decay=5e-4),
    reported={
        "CIFAR-10": "94.90 (public note; pair not stated)",
        "CIFAR-100": "77.31 (public note; pair not stated)",
    },
    notes=(
        "No code is public. Notes on the paper give the decay of 0.95, both losses, the sum with "
        "the class embedding, the use of a bound, and the pre-training.",
        "Ours: the value of the bound, the temperature (4 was better than 1 on held-out images), "
        "the learning rates, the batch size, the numbers of rounds and steps, and no penalty on "
        "the embeddings.",
    ),
)
