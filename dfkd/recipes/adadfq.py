"""AdaDFQ: the images are neither too easy nor too difficult for the student."""

from dataclasses import replace

from dfkd.composition import DifferenceEntropy, Term
from dfkd.recipe import Recipe
from dfkd.recipes.gdfq import GDFQ

ADADFQ: Recipe = replace(
    GDFQ,
    name="adadfq",
    citation="Qian et al., Adaptive Data-Free Quantization, CVPR 2023",
    terms=(
        Term("difficulty-margin", 1.0),
        Term("disagreement-label", 0.2),
        Term("agreement-label", 0.1),
        Term("batch-norm-mse", 1.0),
    ),
    objective=DifferenceEntropy(temperature=20.0),
    schedule=replace(GDFQ.schedule, batch=16),
    reported={
        "CIFAR-10 ResNet-20 (93.89), W4A4": "92.31 (own)",
        "CIFAR-100 ResNet-20 (70.33), W4A4": "66.81 (own)",
        "ImageNet ResNet-18 (71.47), W4A4": "66.53 (own)",
    },
    notes=(
        "The weights are those of the published code for CIFAR-10 at 3 bits. The warm-up has no "
        "student, so it uses the batch-norm term only.",
        "The published quantizer is asymmetric; the quantizer of the run file is used instead.",
    ),
)
