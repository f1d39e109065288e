"""The table of terms and wrappers. A new term needs one row here and its function."""

from dataclasses import dataclass
from typing import Literal

from dfkd.composition import AnyWrapper, Bounded, ExpIncrement, Log1p
from dfkd.references import add_entry

Input = Literal[
    "images",
    "teacher_logits",
    "statistics",
    "features",
    "student_logits",
    "labels",
    "soft_labels",
    "latents",
]
"""Attributes of `dfkd.terms.inputs.TermInputs` that a term can need."""


@dataclass(frozen=True)
class TermEntry:
    """A term and its requirements.

    Attributes:
        function: Reference to a function of the inputs and options or, for a stateful term, to a
            subclass of `dfkd.terms.stateful.StatefulTerm`.
        inputs: Names of the arguments that come from the batch.
        stateful: Whether `function` is a class whose objects keep state between batches.
        never_positive: Whether the value is always at most 0, as the wrapper Log1p requires.
        two_views: Whether the first half of the batch must be global views of the images, and the
            second half local views.
        compares: The parts of a batch that the term compares; "" if it compares none. If it
            compares some, no image may be dropped.
        balances_classes: Whether the term balances the classes. It is then redundant if the
            synthesizer chooses balanced labels.
    """

    function: str
    inputs: tuple[Input, ...]
    stateful: bool = False
    never_positive: bool = False
    two_views: bool = False
    compares: str = ""
    balances_classes: bool = False

    @property
    def needs_student(self) -> bool:
        """Whether the term compares teacher and student, so that it has no value in a warm-up."""
        return "student_logits" in self.inputs

    @property
    def needs_batch_norm(self) -> bool:
        """Whether the teacher must have batch norm."""
        return "statistics" in self.inputs


BOTH: tuple[Input, ...] = ("teacher_logits", "student_logits")

TERMS: dict[str, TermEntry] = {
    "certainty": TermEntry("dfkd.terms.certainty:certainty", ("teacher_logits",)),
    "label-certainty": TermEntry(
        "dfkd.terms.certainty:label_certainty", ("teacher_logits", "labels")
    ),
    "soft-label": TermEntry("dfkd.terms.certainty:soft_label", ("teacher_logits", "soft_labels")),
    "entropy": TermEntry("dfkd.terms.certainty:entropy", ("teacher_logits",)),
    "class-balance": TermEntry(
        "dfkd.terms.certainty:class_balance", ("teacher_logits",), balances_classes=True
    ),
    "activation": TermEntry("dfkd.terms.certainty:activation", ("features",)),
    "batch-norm": TermEntry("dfkd.terms.batch_norm:batch_norm", ("statistics",)),
    "batch-norm-l2": TermEntry("dfkd.terms.batch_norm:batch_norm_l2", ("statistics",)),
    "batch-norm-kl": TermEntry("dfkd.terms.batch_norm:batch_norm_kl", ("statistics",)),
    "batch-norm-mse": TermEntry("dfkd.terms.batch_norm:batch_norm_mse", ("statistics",)),
    "batch-norm-of-images": TermEntry(
        "dfkd.terms.batch_norm:batch_norm_of_images", ("images", "statistics")
    ),
    "batch-norm-average": TermEntry(
        "dfkd.terms.batch_norm_average:BatchNormAverage", ("statistics",), stateful=True
    ),
    "adversary": TermEntry("dfkd.terms.adversary:adversary", BOTH, never_positive=True),
    "adversary-l1": TermEntry("dfkd.terms.adversary:adversary_l1", BOTH, never_positive=True),
    "adversary-js": TermEntry("dfkd.terms.adversary:adversary_js", BOTH),
    "adversary-while-agreed": TermEntry(
        "dfkd.terms.adversary:adversary_while_agreed", BOTH, never_positive=True
    ),
    "difficulty-margin": TermEntry("dfkd.terms.disagreement:difficulty_margin", BOTH),
    "disagreement-label": TermEntry(
        "dfkd.terms.disagreement:disagreement_label", (*BOTH, "labels")
    ),
    "agreement-label": TermEntry("dfkd.terms.disagreement:agreement_label", (*BOTH, "labels")),
    "inter-sample": TermEntry(
        "dfkd.terms.diversity:inter_sample", ("images", "teacher_logits"), compares="halves"
    ),
    "metric": TermEntry("dfkd.terms.diversity:metric", ("features", "labels")),
    "mode-seeking": TermEntry(
        "dfkd.terms.diversity:mode_seeking", ("features", "labels", "latents")
    ),
    "contrast": TermEntry(
        "dfkd.terms.contrast:Contrast",
        ("statistics",),
        stateful=True,
        two_views=True,
        compares="pairs of views",
    ),
    "total-variation": TermEntry("dfkd.terms.pixels:total_variation", ("images",)),
    "image-norm": TermEntry("dfkd.terms.pixels:image_norm", ("images",)),
}
"""All terms, by their names in a recipe."""


def add_term(name: str, entry: TermEntry) -> None:
    """Add a term from a module outside of dfkd, so that a recipe can name it.

    Call it when the module is imported, before the recipe is made.

    Args:
        name: The name in recipes.
        entry: Its function, as "module:name", and its requirements.

    Raises:
        RecipeError: If another term has this name.

    Examples:
        >>> add_term("entropy", TERMS["entropy"])  # The same entry again changes nothing.
    """
    add_entry(TERMS, name, entry, f"term {name}")


ADVERSARIES = frozenset(name for name, entry in TERMS.items() if entry.needs_student)
"""The terms of dfkd that need a student."""

LABELLED = frozenset(name for name, entry in TERMS.items() if "labels" in entry.inputs)
"""The terms of dfkd that need class labels."""

WRAPPERS: dict[type[AnyWrapper], str] = {
    ExpIncrement: "dfkd.terms.wrappers:exp_increment",
    Bounded: "dfkd.terms.wrappers:bounded",
    Log1p: "dfkd.terms.wrappers:log1p",
}
"""By type of wrapper, the reference to its function (value, wrapper, reference) -> value."""
