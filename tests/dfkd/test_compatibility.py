"""Which teachers and students a recipe can be used with."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from dfkd.compatibility import lacking_batch_norm, pair_fault
from dfkd.composition import SoftKl, Term
from dfkd.images import ImageSpec
from dfkd.models import ARCHITECTURES, build, modules_of
from dfkd.models.forward_pass import batch_norms
from dfkd.recipe import Recipe, RecipeError

CERTAINTY = Term("certainty", 1.0)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_table_agrees_with_the_network_that_is_built(name):
    network = build(name, ImageSpec((3, 32, 32), (0.0,) * 3, (1.0,) * 3), 10, width=0.1)
    architecture = ARCHITECTURES[name]
    assert bool(batch_norms(network)) == architecture.batch_norm
    classes = {
        "lenet": "LeNet5",
        "cifar-resnet": "CifarResNet",
        "resnet": "ResNet",
        "wide-resnet": "WideResNet",
    }
    assert type(network).__name__ == classes[architecture.family]
    assert set(modules_of(name)) == {"dfkd.models.construction", type(network).__module__}


def test_modules_of_another_network_are_none():
    assert modules_of("my.module:make") == ()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_networks_of_a_family_have_compared_maps_of_the_same_sizes(name):
    spec = ImageSpec((1, 32, 32), (0.0,), (1.0,))

    def sizes(one):
        network, seen = build(one, spec, 10, width=0.1).eval(), []
        for layer in network.compared_layers():
            layer.register_forward_hook(lambda *call: seen.append(call[2].shape[2:]))
        with torch.no_grad():
            network(torch.zeros(1, *spec.shape))
        return seen

    family = ARCHITECTURES[name].family
    first = next(other for other, row in ARCHITECTURES.items() if row.family == family)
    assert sizes(name) == sizes(first)


def recipe(*terms, **parts):
    return Recipe("of the test", "none", terms=(CERTAINTY, *terms), **parts)


PLAIN = recipe()
STRICT = recipe(Term("batch-norm-l2", 1.0))
LENIENT = recipe(Term("batch-norm", 1.0, where_possible=True))
ATTENTIVE = recipe(objective=SoftKl(attention=1.0))
STAGED = recipe(objective=SoftKl(stages=1.0))


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
        (
            ATTENTIVE,
            "resnet34",
            "resnet20",
            "one family of architectures, not resnet34 and resnet20",
        ),
        (ATTENTIVE, "my.module:make", "lenet5", "one family of architectures"),
        (ATTENTIVE, "lenet5", "my.module:make", "one family of architectures"),
        (ATTENTIVE, "my.module:make", "my.module:make", "one family of architectures"),
        (STAGED, "resnet34", "resnet18", None),
        (STAGED, "resnet34", "resnet20", "compares outputs of stages"),
    ],
)
def test_pair_fault_returns_the_reason_or_none(one, teacher, student, reason):
    found = pair_fault(one, teacher, student)
    assert found is None if reason is None else reason in found
    assert reason is None or one.name in found


def test_lacking_batch_norm_returns_the_first_required_term():
    mixed = replace(
        PLAIN,
        terms=(Term("batch-norm", 1.0, where_possible=True), Term("batch-norm-kl", 1.0)),
    )
    assert lacking_batch_norm(mixed).name == "batch-norm-kl"
    assert lacking_batch_norm(LENIENT) is None


def test_compatibility_is_checked_without_torch():
    code = (
        "import sys; from dfkd.recipes import RECIPES; from dfkd.compatibility import pair_fault;"
        "pair_fault(RECIPES['zskt'], 'lenet5', 'resnet20'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_other_networks_are_examined_when_loaded():
    from dfkd.training.term_weighting import usable_terms

    bare = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    assert usable_terms(LENIENT, bare) == (CERTAINTY,)
    with pytest.raises(RecipeError, match="the teacher has none"):
        usable_terms(STRICT, bare)
