"""TA-DFKD: no term on classes; a mixture model of the teacher's loss selects the images."""

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
        "The settings are those for CIFAR-10. The figures of the paper's tables could not be read.",
        "Ours: the student is trained on the selected images of a batch; the published code draws"
        " images until a batch of selected ones is full.",
        "Ours: shifted images are padded with the data's mean; the published code pads with black.",
        "Ours: no activation between the generator's first norm and its trunk.",
        "Ours: in each round the generator is trained before the student.",
    ),
)
