"""What each term of the generator's loss cannot be computed without. Needs no torch."""

from typing import Literal

Need = Literal["student", "labels", "soft labels", "batch norm", "features", "latents", "views"]

NEEDS: dict[str, frozenset[Need]] = {
    "certainty": frozenset(),
    "label-certainty": frozenset({"labels"}),
    "soft-label": frozenset({"soft labels"}),
    "entropy": frozenset(),
    "class-balance": frozenset(),
    "activation": frozenset({"features"}),
    "batch-norm": frozenset({"batch norm"}),
    "batch-norm-l2": frozenset({"batch norm"}),
    "batch-norm-kl": frozenset({"batch norm"}),
    "batch-norm-mse": frozenset({"batch norm"}),
    "batch-norm-of-images": frozenset({"batch norm"}),
    "batch-norm-average": frozenset({"batch norm"}),
    "adversary": frozenset({"student"}),
    "adversary-l1": frozenset({"student"}),
    "adversary-js": frozenset({"student"}),
    "adversary-while-agreed": frozenset({"student"}),
    "difficulty-margin": frozenset({"student"}),
    "disagreement-label": frozenset({"student", "labels"}),
    "agreement-label": frozenset({"student", "labels"}),
    "inter-sample": frozenset(),
    "metric": frozenset({"features", "labels"}),
    "mode-seeking": frozenset({"features", "labels", "latents"}),
    "contrast": frozenset({"batch norm", "views"}),
    "total-variation": frozenset(),
    "image-norm": frozenset(),
}
"""By the term's name, a key of `dfkd.terms.TERMS`."""

ADVERSARIES = frozenset(name for name, needs in NEEDS.items() if "student" in needs)
NEVER_POSITIVE = {"adversary", "adversary-l1", "adversary-while-agreed"}
LABELLED = frozenset(name for name, needs in NEEDS.items() if "labels" in needs)
