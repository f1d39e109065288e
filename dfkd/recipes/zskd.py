"""ZSKD: pixels are optimized to match soft labels that are drawn from Dirichlet distributions."""

from dfkd.composition import Adam, ConstantRate, ImagePool, Schedule, SoftKl, SoftLabelPixels, Term
from dfkd.recipe import Recipe

ZSKD = Recipe(
    name="zskd",
    citation="Nayak et al., Zero-Shot Knowledge Distillation in Deep Networks, ICML 2019",
    role="published",
    synthesizer=SoftLabelPixels(steps=1_500),
    terms=(Term("soft-label", 1.0, options={"temperature": 20.0}),),
    memory=ImagePool(capacity=40_000, share=0.64),
    objective=SoftKl(temperature=20.0),
    schedule=Schedule(
        batch=100,
        generator_steps=0,
        fresh_batches=0,
        warmup_rounds=400,
        rounds=500 * 40_000 // 64,
    ),
    generator=Adam(1e-3, policy=ConstantRate()),
    student=Adam(1e-3, policy=ConstantRate()),
    reported={"MNIST LeNet-5 -> LeNet-5-half": "98.77 (a re-implementation, which got 96.98)"},
    notes=(
        "Both Dirichlet scales, 1 and 0.1, are used; in the released code both are 1.",
        "The synthesized images are not augmented.",
    ),
)
