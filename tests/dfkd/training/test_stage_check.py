"""Objectives compare stages directly, so both networks must have stages of the same shapes."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from dfkd.composition import AverageGenerator, BatchBank, ImagePool, SoftKl, VaeReplay
from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.models import build
from dfkd.models.forward_pass import forward_with_features
from dfkd.recipe import RecipeError
from dfkd.student_loss.updates import step_loss
from dfkd.training.budget import Plan
from dfkd.training.stage_check import check_stages
from tests.support.tiny import SMALL, SPEC, make_loop, make_teacher

STAGED = replace(SMALL, objective=SoftKl(stages=2.0))


def test_equal_networks_pass_and_stay_unchanged():
    student = build("lenet5-bn", SPEC, 10)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    check_stages(STAGED, make_teacher(), student, SPEC)
    assert student.training
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())


def test_narrower_student_is_refused_with_both_shapes():
    with pytest.raises(
        RecipeError, match=r"6x28x28, 16x10x10 in the teacher, 3x28x28, 8x10x10 in the student"
    ):
        make_loop(STAGED, Plan(1, 2), student="lenet5-half-bn")


def test_narrower_student_is_accepted_without_stage_comparison():
    check_stages(SMALL, make_teacher(), build("lenet5-half-bn", SPEC, 10), SPEC)


def test_network_without_compared_layers_is_refused():
    plain = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    with pytest.raises(RecipeError, match="only the built-in architectures"):
        check_stages(STAGED, plain, plain, SPEC)


@pytest.mark.parametrize(
    "memory",
    [
        ImagePool(capacity=32, share=0.5),
        BatchBank(capacity=32, share=0.5),
        VaeReplay(latent=4, share=0.5),
        AverageGenerator(share=0.5),
    ],
    ids=lambda memory: type(memory).__name__,
)
def test_replayed_images_have_the_teachers_maps(memory, monkeypatch):
    recipe = replace(STAGED, memory=memory)
    batches = []

    def loss(student, update, new, replayed):
        batches.extend(
            labelled_batch for labelled_batch in (new, replayed) if labelled_batch is not None
        )
        return step_loss(student, update, new, replayed)

    monkeypatch.setattr("dfkd.training.student_phase.step_loss", loss)
    loop = make_loop(recipe, Plan(0, 3), student="lenet5-bn")
    loop.run()
    assert len(batches) > loop.counts.student_steps
    for labelled_batch in batches:
        with torch.no_grad():
            seen = forward_with_features(make_teacher(), labelled_batch.images, ("maps",))
        torch.testing.assert_close(labelled_batch.maps, seen.maps)
        torch.testing.assert_close(labelled_batch.logits, seen.logits)


def test_joined_batches_have_maps_only_if_both_have_them():
    one = LabelledBatch(torch.ones(2, 1), torch.ones(2, 3), [torch.ones(2, 4), torch.ones(2, 5)])
    other = LabelledBatch(
        torch.zeros(1, 1), torch.zeros(1, 3), [torch.zeros(1, 4), torch.zeros(1, 5)]
    )
    both = one.joined(other)
    assert [m.shape for m in both.maps] == [(3, 4), (3, 5)]
    assert both.maps[0][:, 0].tolist() == both.images[:, 0].tolist() == [1, 1, 0]
    assert one.joined(replace(other, maps=[])).maps == []
