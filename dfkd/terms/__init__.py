"""Terms of the generator's loss: each a small function of one teacher and one student pass.

All are to be minimised by the generator, in nats where they are entropies, and averaged over the
batch unless they say otherwise. What each needs stands in `dfkd.needs`.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from dfkd.synthesizers.synthesis import Synthesis
from dfkd.terms.adversary import adversary, adversary_js, adversary_l1, adversary_while_agreed
from dfkd.terms.batch_norm import (
    BatchNormAverage,
    batch_norm,
    batch_norm_kl,
    batch_norm_l2,
    batch_norm_mse,
    batch_norm_of_images,
)
from dfkd.terms.certainty import (
    activation,
    certainty,
    class_balance,
    entropy,
    label_certainty,
    soft_label,
)
from dfkd.terms.contrast import Contrast
from dfkd.terms.disagreement import agreement_label, difficulty_margin, disagreement_label
from dfkd.terms.diversity import inter_sample, metric, mode_seeking
from dfkd.terms.pixels import image_norm, total_variation

Compute = Callable[[Synthesis], Tensor]

TERMS: dict[str, Callable[..., Tensor]] = {
    "certainty": certainty,
    "label-certainty": label_certainty,
    "soft-label": soft_label,
    "entropy": entropy,
    "class-balance": class_balance,
    "activation": activation,
    "batch-norm": batch_norm,
    "batch-norm-l2": batch_norm_l2,
    "batch-norm-kl": batch_norm_kl,
    "batch-norm-mse": batch_norm_mse,
    "batch-norm-of-images": batch_norm_of_images,
    "adversary": adversary,
    "adversary-l1": adversary_l1,
    "adversary-js": adversary_js,
    "adversary-while-agreed": adversary_while_agreed,
    "difficulty-margin": difficulty_margin,
    "disagreement-label": disagreement_label,
    "agreement-label": agreement_label,
    "inter-sample": inter_sample,
    "metric": metric,
    "mode-seeking": mode_seeking,
    "total-variation": total_variation,
    "image-norm": image_norm,
}
"""Terms without a state: (synthesis, **options) -> scalar."""

STATEFUL: dict[str, Callable[..., BatchNormAverage | Contrast]] = {
    "batch-norm-average": BatchNormAverage,
    "contrast": Contrast,
}
"""Terms that remember or learn: (teacher, **options) -> an object that is called likewise."""


def make_term(name: str, teacher: nn.Module, **options: Any) -> Compute:
    """A term ready to be called with a `Synthesis`.

    Raises:
        TypeError: For an option that the term does not have.
    """
    if name in STATEFUL:
        return STATEFUL[name](teacher, **options)
    inspect.signature(TERMS[name]).bind(None, **options)
    return partial(TERMS[name], **options)
