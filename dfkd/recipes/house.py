"""The default: an adversarial generator at half resolution, with replay."""

from dfkd.recipe import Recipe, Schedule, Term

HOUSE = Recipe(
    name="house",
    citation=(
        "Ours. Terms: DAFL (Chen et al. 2019), ZSKT (Micaelli and Storkey 2019), DeepInversion "
        "(Yin et al. 2020); replay: MB-DFKD (Binici et al. 2022)"
    ),
    generator="pixel-shuffle",
    terms=(
        Term("certainty", 0.1),
        Term("class-balance", 5.0),
        Term("adversary", 2.0),
        Term("batch-norm", 10.0, where_possible=True),
    ),
    latent=256,
    objective="soft-kl",
    memory=20_000,
    schedule=Schedule(
        batch=128,
        generator_steps=1,
        fresh_batches=4,
        student_steps=20,
        warmup_rounds=0,
        generator_lr=3e-3,
        student_lr=4e-3,
        final_lr=0.01,
    ),
)
