"""TA-DFKD: no class prior; images are selected by a mixture fitted to the teacher's loss."""

from dfkd.composition import (
    Adam,
    ConstantRate,
    CosineRate,
    GeneratorNetwork,
    KeptGenerator,
    LogitL1,
    Schedule,
    Sgd,
    Term,
)
from dfkd.recipe import Recipe

TA_DFKD = Recipe(
    name="ta-dfkd",
    citation="Shin and Choi, Teacher as a Lenient Expert, AAAI 2024, arXiv 2402.12406",
    role="published",
    synthesizer=KeptGenerator(
        GeneratorNetwork(trunk="upsample", head="sigmoid", latent=1000, width=128, norm_eps=0.8),
        augment="crop-flip",
    ),
    terms=(
        Term("adversary-js", 1.0, options={"temperature": 3.0, "reduction": "mean", "clamp": 0.01}),
        Term("batch-norm-l2", 10.0),
        Term("image-norm", 6e-3),
        Term("total-variation", 1.5e-5),
    ),
    selection="clean-mixture",
    objective=LogitL1(),
    schedule=Schedule(batch=1024, fresh_batches=10, student_steps=10, rounds=200 * 36),
    generator=Adam(1e-3, policy=ConstantRate()),
    student=Sgd(0.01, weight_decay=5e-4, policy=CosineRate(final=0.0)),
    notes=(
        "The CIFAR-10 settings. The figures of its tables could not be read.",
        "Ours: the student learns from a batch's clean part; the code draws until one is full.",
        "Ours: shifted images are padded with the data's mean, where the code pads with black.",
        "Ours: no activation between the generator's first norm and its trunk.",
        "Ours: the generator's step comes before the student's in a round.",
    ),
)
