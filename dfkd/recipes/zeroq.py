"""ZeroQ: images whose statistics match those stored in the teacher's batch norms."""

from dfkd.composition import Adam, ConstantRate, ImagePool, PixelOptimization, Schedule, Term
from dfkd.recipe import Recipe

ZEROQ = Recipe(
    name="zeroq",
    citation="Cai et al., ZeroQ: A Novel Zero Shot Quantization Framework, CVPR 2020",
    role="internal",
    synthesizer=PixelOptimization(steps=500),
    terms=(Term("batch-norm-of-images", 1.0),),
    memory=ImagePool(capacity=64),
    schedule=Schedule(
        batch=64, generator_steps=0, fresh_batches=0, student_steps=1, warmup_rounds=1, rounds=1
    ),
    generator=Adam(0.5, policy=ConstantRate()),
    reported={"ImageNet ResNet-18 (71.47), W8A8": "71.43 (own), calibrated, not fine-tuned"},
    notes=(
        "The images are for calibration; no student is trained on them. Ours: images are clamped "
        "to the value range after each step, the images of the best step are used, and the "
        "learning rate does not fall when the loss stops falling.",
    ),
)
