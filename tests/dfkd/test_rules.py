"""Parts that cannot be combined are refused with the reason."""

import pytest

from dfkd.composition import (
    AverageGenerator,
    BatchBank,
    FreshGenerator,
    ImagePool,
    KeptGenerator,
    Log1p,
    MetaGenerator,
    MetaStep,
    NoisyLayer,
    PixelOptimization,
    Schedule,
    SoftKl,
    SoftLabelPixels,
    Term,
    TwoSource,
    VaeReplay,
)
from dfkd.recipe import Recipe, RecipeError
from dfkd.recipes import RECIPES
from dfkd.recipes.held_out import HELD_OUT
from dfkd.recipes.house import HOUSE
from dfkd.rules import violated_rule
from dfkd.terms import ADVERSARIES, LABELLED

CERTAINTY = Term("certainty", 1.0)
ADVERSARY = Term("adversary", 1.0)
POOL = ImagePool(capacity=512)
CONDITIONAL = KeptGenerator(conditioning="product")
PER_BATCH = (FreshGenerator, MetaGenerator, NoisyLayer, PixelOptimization, SoftLabelPixels)
"""Synthesizers that make one batch at a time for an image pool."""


def kept(*terms, **parts):
    """The parts of a recipe with a kept generator; valid unless arguments make it invalid."""
    return {"terms": terms or (CERTAINTY,), **parts}


def per_batch(kind, *terms, **parts):
    """The parts of a recipe with a per-batch synthesizer; valid unless arguments change that."""
    valid = {"synthesizer": kind(), "memory": POOL, "schedule": Schedule(fresh_batches=0)}
    return {"terms": terms or (CERTAINTY,), **valid, **parts}


def recipe(parts):
    return Recipe("of the test", "none", **parts)


REFUSED = {
    "an unknown term": (kept(Term("certanity", 1.0)), "unknown term 'certanity'"),
    "a duplicate term": (kept(CERTAINTY, Term("certainty", 2.0)), "duplicate term"),
    **{
        f"{name} without labels": (
            kept(Term(name, 1.0)),
            f"term {name} needs class labels, but this KeptGenerator has none",
        )
        for name in ("label-certainty", "metric", "mode-seeking")
    },
    **{
        f"{name} with soft labels": (
            per_batch(SoftLabelPixels, Term(name, 1.0)),
            f"term {name} needs class labels",
        )
        for name in sorted(LABELLED)
    },
    "soft-label with a generator": (
        kept(Term("soft-label", 1.0)),
        "term soft-label needs soft labels: use SoftLabelPixels",
    ),
    "soft-label with class labels": (
        per_batch(PixelOptimization, Term("soft-label", 1.0)),
        "term soft-label needs soft labels: use SoftLabelPixels",
    ),
    "class-balance beside labels": (
        kept(Term("label-certainty", 1.0), Term("class-balance", 1.0), synthesizer=CONDITIONAL),
        "term class-balance has no use beside label-certainty: the labels are already balanced",
    ),
    **{
        f"{name} without a student": (
            kept(
                CERTAINTY,
                Term(name, 1.0),
                synthesizer=CONDITIONAL if name in LABELLED else KeptGenerator(),
                schedule=Schedule(generator_steps=0, warmup_rounds=10),
            ),
            f"term {name} needs a student, but with generator_steps = 0",
        )
        for name in sorted(ADVERSARIES)
    },
    "a warm-up in which every term needs the student": (
        kept(ADVERSARY, schedule=Schedule(warmup_rounds=3)),
        "every term needs a student, so a warm-up trains nothing",
    ),
    "contrast with one view": (
        kept(CERTAINTY, Term("contrast", 1.0)),
        "term contrast compares two views of an image: set augment to two-views",
    ),
    "contrast with selection": (
        kept(
            CERTAINTY,
            Term("contrast", 1.0),
            synthesizer=KeptGenerator(augment="two-views"),
            selection="clean-mixture",
        ),
        "term contrast compares pairs of views of a whole batch: set selection to all",
    ),
    "inter-sample with selection": (
        kept(CERTAINTY, Term("inter-sample", 1.0), selection="clean-mixture"),
        "term inter-sample compares halves of a whole batch: set selection to all",
    ),
    **{
        f"mode-seeking with an unconditional {kind.__name__}": (
            per_batch(kind, Term("mode-seeking", 1.0)),
            "term mode-seeking needs latents with a class: "
            f"use a conditional generator, not {kind.__name__}",
        )
        for kind in (FreshGenerator, MetaGenerator, NoisyLayer, PixelOptimization)
    },
    "a generator that never learns": (
        kept(schedule=Schedule(generator_steps=0, warmup_rounds=0)),
        "generator_steps = 0 without a warm-up: KeptGenerator would never",
    ),
    **{
        f"a pool that {kind.__name__} never fills": (
            per_batch(kind, schedule=Schedule(fresh_batches=0, generator_steps=0)),
            f"generator_steps = 0 without a warm-up: {kind.__name__} would never",
        )
        for kind in PER_BATCH
    },
    **{
        f"fresh batches from {kind.__name__}": (
            per_batch(kind, schedule=Schedule(fresh_batches=1)),
            f"{kind.__name__} makes images for an image pool: set fresh_batches to 0",
        )
        for kind in PER_BATCH
    },
    **{
        f"{kind.__name__} with {type(memory).__name__}": (
            per_batch(kind, memory=memory),
            f"{kind.__name__} makes images for an image pool: set memory to ImagePool",
        )
        for kind in PER_BATCH
        for memory in (None, BatchBank(capacity=4), VaeReplay(), AverageGenerator())
    },
    "selection from a pool": (
        per_batch(PixelOptimization, selection="clean-mixture"),
        "selection needs images drawn on demand, but PixelOptimization fills an image pool",
    ),
    "blended images from a pool": (
        per_batch(PixelOptimization, schedule=Schedule(fresh_batches=0, fresh="mixed")),
        "fresh = mixed needs images drawn on demand, but PixelOptimization fills an image pool",
    ),
    **{
        f"{type(update).__name__} without memory": (
            kept(update=update),
            f"update {type(update).__name__} needs replayed images: set a memory",
        )
        for update in (TwoSource(), MetaStep())
    },
    # A student with batch norm cannot learn from one image.
    **{
        f"{type(update).__name__} with one replayed image": (
            kept(memory=ImagePool(capacity=128, share=1 / 128), update=update),
            f"update {type(update).__name__} needs at least two replayed images",
        )
        for update in (TwoSource(), MetaStep())
    },
    "a student that never sees the generator's images": (
        kept(memory=POOL, schedule=Schedule(fresh_batches=0)),
        "the student would never see the generator's images: set fresh_batches",
    ),
    **{
        f"fresh {fresh} with several batches": (
            kept(schedule=Schedule(fresh=fresh, fresh_batches=2, student_steps=2)),
            f"fresh = {fresh} uses one batch for the whole round: set fresh_batches to 1",
        )
        for fresh in ("same-latents", "generator-batch")
    },
    **{
        f"fresh {fresh} without a generator step": (
            kept(schedule=Schedule(fresh=fresh, generator_steps=0, warmup_rounds=3)),
            f"fresh = {fresh} needs a generator step: set generator_steps to 1 or more",
        )
        for fresh in ("same-latents", "generator-batch")
    },
    "more fresh batches than student steps": (
        kept(schedule=Schedule(fresh_batches=3, student_steps=2)),
        r"fresh_batches \(3\) exceeds student_steps \(2\): some batches would not be used",
    ),
    "procedural images without a pool": (
        kept(schedule=Schedule(procedural_batches=1)),
        "procedural images are replayed from an image pool: set memory to ImagePool",
    ),
    "student steps without images": (
        kept(schedule=Schedule(fresh_batches=2, student_steps=3)),
        "without memory every student step needs a fresh batch",
    ),
    "a meta step on replayed images alone": (
        kept(memory=POOL, update=MetaStep(), schedule=Schedule(student_steps=2)),
        "update MetaStep needs fresh images in every student step",
    ),
    **{
        f"{maps} with a meta step": (
            kept(memory=POOL, update=MetaStep(), objective=SoftKl(**{maps: 1.0})),
            "update MetaStep compares logits only: set attention and stages to 0",
        )
        for maps in ("attention", "stages")
    },
    **{
        f"a pool for {capacity} images": (
            kept(memory=ImagePool(capacity=capacity)),
            rf"memory \({capacity}\) is smaller than a batch \(128\)",
        )
        for capacity in (0, 127)
    },
    "an empty bank": (
        kept(memory=BatchBank(capacity=0)),
        r"memory \(0\) must hold at least one batch",
    ),
    **{
        f"a {type(memory).__name__} that replays nothing": (
            kept(memory=memory),
            r"replay_share \(0.003\) of a batch of 128 is less than one image",
        )
        for memory in (
            ImagePool(capacity=128, share=0.003),
            BatchBank(capacity=128, share=0.003),
            VaeReplay(share=0.003),
            AverageGenerator(share=0.003),
        )
    },
    **{
        f"Log1p on {name}": (
            kept(*{CERTAINTY.name: CERTAINTY, name: Term(name, 1.0, wrapper=Log1p())}.values()),
            f"wrapper Log1p needs a term that is never positive, not {name}",
        )
        for name in ("certainty", "entropy", "adversary-js", "image-norm")
    },
    "a temperature of zero": (
        kept(objective=SoftKl(temperature=0.0)),
        "temperature must be above 0",
    ),
    "an average that never changes": (kept(average=1.0), r"average \(1.0\) must be"),
    "a negative average": (kept(average=-0.1), r"average \(-0.1\) must be"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_invalid_composition_is_refused_with_the_reason(case):
    parts, reason = REFUSED[case]
    with pytest.raises(RecipeError, match=reason):
        recipe(parts)


ALLOWED = {
    "the defaults": kept(),
    **{
        f"Log1p on {name}": kept(Term(name, 1.0, wrapper=Log1p()))
        for name in ("adversary", "adversary-l1", "adversary-while-agreed")
    },
    "one replayed image beside new ones": kept(memory=ImagePool(capacity=128, share=1 / 128)),
    "labels for a conditional generator": kept(
        Term("label-certainty", 1.0), synthesizer=CONDITIONAL
    ),
    "labels for pixels": per_batch(PixelOptimization, Term("label-certainty", 1.0)),
    "soft labels for pixels": per_batch(SoftLabelPixels, Term("soft-label", 1.0)),
    "class-balance beside soft labels": per_batch(
        SoftLabelPixels, Term("soft-label", 1.0), Term("class-balance", 1.0)
    ),
    "an adversary after a warm-up": kept(CERTAINTY, ADVERSARY, schedule=Schedule(warmup_rounds=2)),
    "contrast of two views": kept(
        CERTAINTY, Term("contrast", 1.0), synthesizer=KeptGenerator(augment="two-views")
    ),
    **{f"the defaults of {kind.__name__}": per_batch(kind) for kind in PER_BATCH},
    "memory for the further steps": kept(
        memory=POOL, schedule=Schedule(fresh_batches=1, student_steps=5)
    ),
    "the same latents for every step": kept(
        schedule=Schedule(fresh="same-latents", student_steps=5)
    ),
    "a meta step": kept(memory=POOL, update=MetaStep()),
    "attention": kept(objective=SoftKl(attention=1.0)),
    "attention and a memory": kept(memory=POOL, objective=SoftKl(attention=1.0)),
    "stages of images from a pool": per_batch(PixelOptimization, objective=SoftKl(stages=1.0)),
    "a generator trained in the warm-up only": kept(
        schedule=Schedule(generator_steps=0, warmup_rounds=10)
    ),
    "a pool of one batch": kept(memory=ImagePool(capacity=128)),
    "a running average": kept(average=0.999),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_valid_composition_is_accepted(case):
    assert violated_rule(recipe(ALLOWED[case])) is None


def test_every_recipe_violates_no_rule():
    for one in (*RECIPES.values(), HELD_OUT):
        assert violated_rule(one) is None


def test_an_override_is_checked_too():
    with pytest.raises(RecipeError, match="smaller than a batch"):
        HOUSE.overridden({"memory": 5})
