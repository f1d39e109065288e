"""What does not go together is refused, with the reason."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from dfkd.compatibility import (
    ADVERSARIES,
    FAMILIES,
    LABELLED,
    fault,
    lacking_batch_norm,
    pair_fault,
)
from dfkd.composition import Memory, Objective, Schedule, Synthesizer, Term, Update, Wrapper
from dfkd.images import ImageSpec
from dfkd.models import ARCHITECTURES, build
from dfkd.models.forward_pass import batch_norms
from dfkd.needs import NEEDS
from dfkd.recipe import Recipe, RecipeError
from dfkd.recipes import HELD_OUT, HOUSE, RECIPES
from dfkd.terms import STATEFUL, TERMS

CERTAINTY = Term("certainty", 1.0)
ADVERSARY = Term("adversary", 1.0)
POOL = Memory("pool", capacity=512)


def kept(*terms, **parts):
    """A recipe with a generator that is kept; with nothing said, one that is fine."""
    conditional = parts.pop("conditional", False)
    synthesizer = parts.pop("synthesizer", Synthesizer(conditional=conditional))
    return {"terms": terms or (CERTAINTY,), "synthesizer": synthesizer, **parts}


def made(kind, *terms, **parts):
    """A recipe whose images are made for a pool; with nothing said, one that is fine."""
    synthesizer = Synthesizer(kind, conditional=parts.pop("conditional", kind == "noisy-layer"))
    return {
        "terms": terms or (CERTAINTY,),
        "synthesizer": parts.pop("synthesizer", synthesizer),
        "memory": parts.pop("memory", POOL),
        "schedule": parts.pop("schedule", Schedule(fresh_batches=0)),
        **parts,
    }


def recipe(parts):
    return Recipe("of the test", "none", **parts)


REFUSED = {
    "an unknown term": (kept(Term("certanity", 1.0)), "unknown term 'certanity'"),
    "a term twice": (kept(CERTAINTY, Term("certainty", 2.0)), "stands there twice"),
    **{
        f"{name} without labels": (
            kept(Term(name, 1.0)),
            f"term {name} asks for classes that an unconditional generator is not told",
        )
        for name in ("label-certainty", "metric", "mode-seeking")
    },
    "hard labels from soft ones": (
        made("impressions", Term("label-certainty", 1.0)),
        "term label-certainty asks for classes",
    ),
    "soft labels from a generator": (
        kept(Term("soft-label", 1.0)),
        "term soft-label needs the synthesizer impressions",
    ),
    "soft labels from pixels": (
        made("pixels", Term("soft-label", 1.0)),
        "term soft-label needs the synthesizer impressions",
    ),
    "balance beside labels": (
        kept(Term("label-certainty", 1.0), Term("class-balance", 1.0), conditional=True),
        "class-balance beside chosen labels is redundant",
    ),
    **{
        f"{name} where the generator learns alone": (
            kept(
                CERTAINTY,
                Term(name, 1.0),
                synthesizer=Synthesizer(conditional=name in LABELLED),
                schedule=Schedule(generator_steps=0, warmup_rounds=10),
            ),
            f"term {name} needs a student, but with generator_steps = 0",
        )
        for name in sorted(ADVERSARIES)
    },
    "contrast of one view": (
        kept(CERTAINTY, Term("contrast", 1.0)),
        "term contrast compares two views of an image: set augment two-views",
    ),
    "halves of what is left": (
        kept(CERTAINTY, Term("inter-sample", 1.0), selection="clean-mixture"),
        "inter-sample compares halves of a whole batch; selection would break them",
    ),
    "mode seeking over classes nobody asked for": (
        made("fresh-generator", Term("mode-seeking", 1.0)),
        "mode-seeking pairs latents of one class: it needs a conditional generator",
    ),
    "several steps of a kept generator": (
        kept(synthesizer=Synthesizer(steps=2)),
        "takes one step a batch: set generator_steps instead",
    ),
    "a generator that never learns": (
        kept(schedule=Schedule(generator_steps=0, warmup_rounds=0)),
        "with generator_steps = 0 and no warm-up the generator would never learn",
    ),
    **{
        f"fresh images from {kind}": (
            made(kind, schedule=Schedule(fresh_batches=1)),
            f"{kind} makes images for the pool: set fresh_batches to 0",
        )
        for kind in ("fresh-generator", "meta-generator", "noisy-layer", "pixels", "impressions")
    },
    **{
        f"{kind} for {memory}": (
            made("pixels", memory=Memory(kind, capacity=4)),
            "pixels makes images for the pool: set memory kind pool",
        )
        for memory, kind in (("no memory", "none"), ("a bank", "bank"), ("a VAE", "vae"))
    },
    "an average of no generator": (
        made("fresh-generator", memory=Memory("average-generator")),
        "fresh-generator makes images for the pool: set memory kind pool",
    ),
    "selection from a pool": (
        made("pixels", selection="clean-mixture"),
        "selection is for images drawn at will, not for a pool",
    ),
    "a noisy layer without labels": (
        made("noisy-layer", conditional=False),
        "noisy-layer starts from label embeddings: it is conditional",
    ),
    **{
        f"update {kind} without memory": (
            kept(update=Update(kind)),
            f"update {kind} needs replayed images: set a memory",
        )
        for kind in ("two-source", "meta")
    },
    "a student that never sees the generator's images": (
        kept(memory=POOL, schedule=Schedule(fresh_batches=0)),
        "the student would never see the generator's images: set fresh_batches",
    ),
    **{
        f"fresh {fresh} in several batches": (
            kept(schedule=Schedule(fresh=fresh, fresh_batches=2, student_steps=2)),
            f"fresh {fresh} is one batch for the whole round: set fresh_batches to 1",
        )
        for fresh in ("same-latents", "generator-batch")
    },
    **{
        f"fresh {fresh} without a generator step": (
            kept(schedule=Schedule(fresh=fresh, generator_steps=0, warmup_rounds=3)),
            f"fresh {fresh} needs a generator step in the round",
        )
        for fresh in ("same-latents", "generator-batch")
    },
    "blending what is made for a pool": (
        made("pixels", schedule=Schedule(fresh_batches=0, fresh="mixed")),
        "fresh mixed blends what a generator draws at will: set synthesizer generator",
    ),
    "batches that nobody learns from": (
        kept(schedule=Schedule(fresh_batches=3, student_steps=2)),
        r"fresh_batches \(3\) exceeds student_steps \(2\): batches .* nobody learns from",
    ),
    "steps with nothing to learn from": (
        kept(schedule=Schedule(fresh_batches=2, student_steps=3)),
        "without memory every student step needs a fresh batch",
    ),
    "acquiring from memory alone": (
        kept(memory=POOL, update=Update("meta"), schedule=Schedule(student_steps=2)),
        "update meta needs fresh images in every student step",
    ),
    "attention in a meta step": (
        kept(memory=POOL, update=Update("meta"), objective=Objective(attention=1.0)),
        "update meta compares logits alone",
    ),
    "stages in a meta step": (
        kept(memory=POOL, update=Update("meta"), objective=Objective(stages=1.0)),
        "update meta compares logits alone",
    ),
    "a pool without room": (
        kept(memory=Memory("pool", capacity=0)),
        "memory kind pool with a capacity of 0; without memory set kind none",
    ),
    "a pool smaller than a batch": (
        kept(memory=Memory("pool", capacity=127)),
        r"memory \(127\) is smaller than a batch \(128\)",
    ),
    "an empty bank": (
        kept(memory=Memory("bank", capacity=0)),
        "a bank holds at least one batch",
    ),
    **{
        f"a {kind} that replays nothing": (
            kept(memory=Memory(kind, capacity=128, share=0.003)),
            "a replay share of 0.003 of a batch of 128 is no image",
        )
        for kind in ("pool", "bank", "vae", "average-generator")
    },
    **{
        f"mode seeking where {kind} has no latents that matter": (
            made(kind, Term("mode-seeking", 1.0), conditional=True),
            "it needs a conditional generator of latents",
        )
        for kind in ("pixels", "impressions", "noisy-layer")
    },
    "classes out of soft labels": (
        made("impressions", Term("metric", 1.0), conditional=True),
        "metric compares classes, and impressions have soft labels",
    ),
    "a warm-up in which every term asks the student": (
        kept(ADVERSARY, schedule=Schedule(warmup_rounds=3)),
        "every term asks the student: in a warm-up without one nothing would be learnt",
    ),
    "pairs of views of what is left": (
        kept(
            CERTAINTY,
            Term("contrast", 1.0),
            synthesizer=Synthesizer(augment="two-views"),
            selection="clean-mixture",
        ),
        "contrast pairs the views of a whole batch; selection would break the pairs",
    ),
    **{
        f"the logarithm of one plus {name}": (
            kept(CERTAINTY, replace(Term(name, 1.0), wrapper=Wrapper("log1p")))
            if name != "certainty"
            else kept(Term(name, 1.0, wrapper=Wrapper("log1p"))),
            f"wrapper log1p is for a term that is never positive, not for {name}",
        )
        for name in ("certainty", "entropy", "adversary-js", "image-norm")
    },
    **{
        f"a pool that {kind} never fills": (
            made(kind, schedule=Schedule(fresh_batches=0, generator_steps=0, warmup_rounds=0)),
            "with generator_steps = 0 and no warm-up the pool would never be filled",
        )
        for kind in ("pixels", "impressions", "fresh-generator", "meta-generator", "noisy-layer")
    },
    "a temperature of zero": (
        kept(objective=Objective("soft-kl", temperature=0.0)),
        r"temperature \(0.0\) must be above 0",
    ),
    # A student with batch norm learns nothing from one image.
    **{
        f"one replayed image on its own for {kind}": (
            kept(memory=Memory("pool", capacity=128, share=1 / 128), update=Update(kind)),
            f"update {kind} passes replayed images on their own: at least two",
        )
        for kind in ("meta", "two-source")
    },
    "an average that never moves": (kept(average=1.0), r"average \(1.0\) is a decay"),
    "an average of less than nothing": (kept(average=-0.1), r"average \(-0.1\) is a decay"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_is_refused_with_the_reason(case):
    parts, reason = REFUSED[case]
    with pytest.raises(RecipeError, match=reason):
        recipe(parts)


ALLOWED = {
    "a plain one": kept(),
    **{
        f"the logarithm of one plus {name}": kept(Term(name, 1.0, wrapper=Wrapper("log1p")))
        for name in ("adversary", "adversary-l1", "adversary-while-agreed")
    },
    "one replayed image beside new ones": kept(memory=Memory("pool", capacity=128, share=1 / 128)),
    "labels for a conditional generator": kept(Term("label-certainty", 1.0), conditional=True),
    "labels for pixels": made("pixels", Term("label-certainty", 1.0)),
    "soft labels for impressions": made("impressions", Term("soft-label", 1.0)),
    "balance beside soft labels": made(
        "impressions", Term("soft-label", 1.0), Term("class-balance", 1.0)
    ),
    "an adversary after a warm-up": kept(CERTAINTY, ADVERSARY, schedule=Schedule(warmup_rounds=2)),
    "contrast of two views": kept(
        CERTAINTY, Term("contrast", 1.0), synthesizer=Synthesizer(augment="two-views")
    ),
    "a noisy layer": made("noisy-layer"),
    "memory for the further steps": kept(
        memory=POOL, schedule=Schedule(fresh_batches=1, student_steps=5)
    ),
    "the same latents for every step": kept(
        schedule=Schedule(fresh="same-latents", student_steps=5)
    ),
    "meta": kept(memory=POOL, update=Update("meta")),
    "attention": kept(objective=Objective(attention=1.0)),
    "attention and a memory": kept(memory=POOL, objective=Objective(attention=1.0)),
    "stages of images that are made for a pool": made("pixels", objective=Objective(stages=1.0)),
    "a generator taught in the warm-up alone": kept(
        schedule=Schedule(generator_steps=0, warmup_rounds=10)
    ),
    "a pool of one batch": kept(memory=Memory("pool", capacity=128)),
    "a running average": kept(average=0.999),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_is_allowed(case):
    assert fault(recipe(ALLOWED[case])) is None


def test_every_recipe_goes_together():
    for one in (*RECIPES.values(), HELD_OUT):
        assert fault(one) is None


def test_an_override_is_checked_too():
    with pytest.raises(RecipeError, match="smaller than a batch"):
        HOUSE.overridden({"memory": 5})


def test_every_term_has_its_needs_and_every_need_its_term():
    assert NEEDS.keys() == TERMS.keys() | STATEFUL.keys()
    assert not TERMS.keys() & STATEFUL.keys()
    named = {n for n in NEEDS if n.startswith("adversary")}
    assert named | {"difficulty-margin", "disagreement-label", "agreement-label"} == ADVERSARIES
    asked = {"label-certainty", "disagreement-label", "agreement-label"}
    assert {"metric", "mode-seeking", *asked} == LABELLED


def test_families_are_those_of_the_registry():
    assert FAMILIES.keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_families_agree_with_what_is_built(name):
    network = build(name, ImageSpec((3, 32, 32), (0.0,) * 3, (1.0,) * 3), 10, width=0.1)
    family = FAMILIES[name]
    assert bool(batch_norms(network)) == family.batch_norm
    modules = {
        "lenet": "LeNet5",
        "cifar-resnet": "CifarResNet",
        "resnet": "ResNet",
        "wide-resnet": "WideResNet",
    }
    assert type(network).__name__ == modules[family.name]


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_family_has_as_many_attention_maps_of_the_same_size(name):
    """Or comparing attention within a family, which is what is allowed, would fail."""
    spec = ImageSpec((1, 32, 32), (0.0,), (1.0,))

    def sizes(one):
        network, seen = build(one, spec, 10, width=0.1).eval(), []
        for layer in network.compared_layers():
            layer.register_forward_hook(lambda *call: seen.append(call[2].shape[2:]))
        with torch.no_grad():
            network(torch.zeros(1, *spec.shape))
        return seen

    first = next(other for other in FAMILIES if FAMILIES[other].name == FAMILIES[name].name)
    assert sizes(name) == sizes(first)


PLAIN = recipe(kept())
STRICT = recipe(kept(CERTAINTY, Term("batch-norm-l2", 1.0)))
LENIENT = recipe(kept(CERTAINTY, Term("batch-norm", 1.0, where_possible=True)))
ATTENTIVE = recipe(kept(objective=Objective(attention=1.0)))
STAGED = recipe(kept(objective=Objective(stages=1.0)))


@pytest.mark.parametrize(
    ("one", "teacher", "student", "reason"),
    [
        (PLAIN, "lenet5", "lenet5-half", None),
        (PLAIN, "resnet34", "wrn-16-1", None),
        (STRICT, "lenet5", "lenet5-half", "needs batch norm (term batch-norm-l2); lenet5 has none"),
        (STRICT, "lenet5-half", "resnet18", "lenet5-half has none"),
        (STRICT, "lenet5-bn", "lenet5-half", None),
        (STRICT, "resnet20", "lenet5", None),
        (STRICT, "my.module:make", "lenet5-half", None),
        (LENIENT, "lenet5", "lenet5-half", None),
        (ATTENTIVE, "lenet5", "lenet5-half-bn", None),
        (ATTENTIVE, "wrn-40-2", "wrn-16-1", None),
        (ATTENTIVE, "resnet34", "resnet18", None),
        (ATTENTIVE, "resnet34", "resnet20", "one registry family, not resnet34 and resnet20"),
        (ATTENTIVE, "my.module:make", "lenet5", "one registry family"),
        (ATTENTIVE, "lenet5", "my.module:make", "one registry family"),
        (ATTENTIVE, "my.module:make", "my.module:make", "one registry family"),
        (STAGED, "resnet34", "resnet18", None),
        (STAGED, "resnet34", "resnet20", "compares what stages give"),
    ],
)
def test_pairs(one, teacher, student, reason):
    found = pair_fault(one, teacher, student)
    assert found is None if reason is None else reason in found
    assert reason is None or one.name in found


def test_the_term_that_lacks_batch_norm_is_the_first_that_may_not_be_left_out():
    mixed = replace(
        PLAIN,
        terms=(Term("batch-norm", 1.0, where_possible=True), Term("batch-norm-kl", 1.0)),
    )
    assert lacking_batch_norm(mixed).name == "batch-norm-kl"
    assert lacking_batch_norm(LENIENT) is None


@pytest.mark.parametrize("name", NEEDS)
def test_the_terms_that_need_batch_norm_are_those_that_read_its_statistics(name):
    assert ("batch norm" in NEEDS[name]) == (name.startswith("batch-norm") or name == "contrast")


def test_a_run_file_is_checked_without_torch():
    code = (
        "import sys; from dfkd.recipes import RECIPES; from dfkd.compatibility import pair_fault;"
        "pair_fault(RECIPES['zskt'], 'lenet5', 'resnet20'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_network_out_of_the_registry_is_looked_at_when_it_is_loaded():
    from dfkd.training.term_weighting import usable_terms

    bare = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    assert usable_terms(LENIENT, bare) == (CERTAINTY,)
    with pytest.raises(RecipeError, match="the teacher has none"):
        usable_terms(STRICT, bare)
