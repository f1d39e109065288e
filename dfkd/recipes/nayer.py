"""NAYER: label embeddings pass through a noisy layer, which is initialized for each batch."""

from dfkd.composition import (
    Adam,
    ConstantRate,
    CosineRate,
    GeneratorNetwork,
    ImagePool,
    NoisyLayer,
    Schedule,
    Sgd,
    SoftKl,
    Term,
)
from dfkd.recipe import Recipe

NAYER = Recipe(
    name="nayer",
    citation="Tran et al., NAYER: Noisy Layer Data Generation, CVPR 2024, arXiv 2310.00258",
    role="published",
    synthesizer=NoisyLayer(
        GeneratorNetwork(trunk="upsample", head="sigmoid", latent=1000, width=128),
        steps=30,
        renew_every=20,
    ),
    terms=(
        Term("batch-norm-average", 10.0, options={"momentum": 0.9}),
        Term("label-certainty", 0.5),
        Term("adversary-while-agreed", 1.33),
    ),
    memory=ImagePool(capacity=400 * 400, share=1.28),
    objective=SoftKl(temperature=20.0),
    schedule=Schedule(
        batch=400,
        generator_steps=2,
        fresh_batches=0,
        student_steps=400,
        warmup_rounds=20 * 10,
        rounds=100,
    ),
    generator=Adam(4e-3, betas=(0.5, 0.999), policy=ConstantRate()),
    student=Sgd(0.2, weight_decay=1e-4, policy=CosineRate(final=1e-3)),
    reported={
        "CIFAR-100 WRN-40-2 -> WRN-16-2": "about 70.2 / 71.2 / 71.7 in 100 / 200 / 300 epochs "
        "(read off a plot)"
    },
    notes=(
        "Ours: random label embeddings, so that no outside data is needed; embeddings of class "
        "names can be passed to `build_generator` instead.",
        "The schedule is that of the 100-epoch run, with the 30 steps of CIFAR-10. The generator "
        "is renewed every 20 batches, that is, every 10 epochs of the main phase but every 2 "
        "epochs of the warm-up.",
    ),
)
