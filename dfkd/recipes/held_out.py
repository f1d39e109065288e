"""The held-out generator, which makes the verdict's probes and needs only the teacher.

Its architecture differs from the generator of the house recipe, so that the probes differ from the
training images. It is class-conditional as in GDFQ (Xu et al. 2020). The
label cross-entropy and the batch-norm statistics are those of DeepInversion (Yin et al. 2020).
"""

from dfkd.composition import Adam, ConstantRate, GeneratorNetwork, KeptGenerator, Schedule, Term
from dfkd.recipe import Recipe

HELD_OUT = Recipe(
    name="held-out",
    citation="Composition: GDFQ's generator (Xu et al. 2020) without its student",
    role="internal",
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
