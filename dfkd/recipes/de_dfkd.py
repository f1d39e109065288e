"""DE-DFKD: a conditional generator, and metric learning on the teacher's features for diversity."""

from dfkd.composition import Adam, GeneratorNetwork, KeptGenerator, Schedule, SoftKl, Term
from dfkd.recipe import Recipe

DE_DFKD = Recipe(
    name="de-dfkd",
    citation="Liu et al., Diversity-Enhancing Data-Free Knowledge Distillation, Multimedia Tools "
    "and Applications 2024",
    role="published",
    synthesizer=KeptGenerator(
        GeneratorNetwork(trunk="upsample", head="tanh", latent=100, width=128),
        conditioning="product",
    ),
    terms=(
        Term("label-certainty", 1.0),
        Term("batch-norm", 1.0, where_possible=True),
        Term("adversary", 1.0),
        Term("metric", 0.1),
        Term("mode-seeking", 1.0),
    ),
    objective=SoftKl(temperature=4.0),
    schedule=Schedule(batch=256, fresh_batches=5, student_steps=5, rounds=25_000),
    generator=Adam(1e-3),
    student=Adam(2e-3),
    reported={"FID": "51.79 MNIST, 60.25 CIFAR-10, 50.1 CIFAR-100 (abstract; unverified)"},
    notes=(
        "Neither the full text nor the code is public. The abstract names a conditional generator"
        " and metric learning. Ours: the form and weight of every term, and the schedule.",
    ),
)
