"""The generator behind the verdict's probes: taught by the teacher alone, never by a student.

Another architecture than the house recipe's, and told which class to draw, so that it does not
share what the training generator has learnt to draw (class-conditional, as in GDFQ, Xu et al.
2020; label cross-entropy and batch-norm statistics as in DeepInversion, Yin et al. 2020).
"""

from dfkd.composition import Adam, ConstantRate, GeneratorNetwork, KeptGenerator, Schedule, Term
from dfkd.recipe import Recipe

HELD_OUT = Recipe(
    name="held-out",
    citation="Composition: GDFQ's generator (Xu et al. 2020) without its student",
    synthesizer=KeptGenerator(
        GeneratorNetwork(trunk="upsample", latent=100, width=32), conditioning="product"
    ),
    terms=(
        Term("label-certainty", 1.0),
        Term("batch-norm", 1.0, where_possible=True),
    ),
    schedule=Schedule(batch=64, frozen_norms=True),
    generator=Adam(5e-3, policy=ConstantRate()),
)
