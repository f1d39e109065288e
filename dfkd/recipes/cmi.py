"""CMI: a new generator for each batch, and images that must differ from all earlier ones."""

from dfkd.composition import (
    Adam,
    ConstantRate,
    FreshGenerator,
    GeneratorNetwork,
    ImagePool,
    Schedule,
    Sgd,
    SoftKl,
    Term,
)
from dfkd.recipe import Recipe

CMI = Recipe(
    name="cmi",
    citation="Fang et al., Contrastive Model Inversion for Data-Free Knowledge Distillation, "
    "IJCAI 2021",
    role="published",
    synthesizer=FreshGenerator(
        GeneratorNetwork(trunk="upsample", head="sigmoid", latent=256, width=128),
        steps=200,
        latent_lr=1e-3,
        augment="two-views",
    ),
    terms=(
        Term("batch-norm-l2", 1.0),
        Term("label-certainty", 0.5),
        Term("adversary-while-agreed", 0.5),
        Term("contrast", 0.8, options={"temperature": 0.2, "negatives": 4096, "capacity": 40_960}),
    ),
    memory=ImagePool(capacity=200 * 256, share=0.5),
    objective=SoftKl(temperature=20.0),
    schedule=Schedule(batch=256, fresh_batches=0, student_steps=400, rounds=200),
    generator=Adam(1e-3, betas=(0.5, 0.999), policy=ConstantRate()),
    student=Sgd(0.1, weight_decay=1e-4),
    reported={
        "CIFAR-10 ResNet-34 -> ResNet-18": "94.84 (teacher 95.70), the authors' repository",
        "CIFAR-10 WRN-40-2 -> WRN-16-1": "90.01 (teacher 94.87), the authors' repository",
    },
    notes=(
        "The settings are those of the run from scratch, where each round makes one batch and "
        "then takes 400 student steps.",
        "Ours: the convolutions have biases.",
        "Ours: all terms use both views, so that one pass of the teacher is enough.",
    ),
)
