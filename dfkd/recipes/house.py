"""The default recipe: an adversarial generator at half resolution, replay and blended images."""

from dfkd.composition import (
    Adam,
    GeneratorNetwork,
    ImagePool,
    KeptGenerator,
    Schedule,
    SoftKl,
    Term,
)
from dfkd.recipe import Recipe

HOUSE = Recipe(
    name="house",
    citation=(
        "Ours. Terms: DAFL (Chen et al. 2019), ZSKT (Micaelli and Storkey 2019), DeepInversion "
        "(Yin et al. 2020); replay: MB-DFKD (Binici et al. 2022); blended images: mixup (Zhang et "
        "al. 2018)"
    ),
    synthesizer=KeptGenerator(
        GeneratorNetwork(trunk="pixel-shuffle", head="clamp", latent=256, width=32)
    ),
    terms=(
        Term("certainty", 0.1),
        Term("class-balance", 5.0),
        Term("adversary", 2.0),
        Term("batch-norm", 100.0, where_possible=True),
    ),
    memory=ImagePool(capacity=20_000),
    objective=SoftKl(temperature=4.0),
    schedule=Schedule(batch=128, fresh_batches=4, student_steps=40, rounds=400, fresh="mixed"),
    generator=Adam(3e-3),
    student=Adam(4e-3),
)
