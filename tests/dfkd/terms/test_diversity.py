import math

import pytest
import torch
from torch.autograd import gradcheck

from dfkd.terms.diversity import inter_sample, metric, mode_seeking
from tests.dfkd.terms import draw

LABELS = torch.tensor([0, 1, 0, 2, 1, 0])


def test_inter_sample_by_hand():
    sure = math.log(3.0)
    # Predictions (3/4, 1/4), (1/2, 1/2) against (1/4, 3/4), (1/2, 1/2).
    logits = torch.tensor([[sure, 0.0], [0.0, 0.0], [0.0, sure], [0.0, 0.0]])
    images = torch.zeros(4, 1, 1, 2)
    images[2, 0, 0] = torch.tensor([3.0, 0.0])
    images[3, 0, 0] = torch.tensor([0.0, 4.0])
    value = inter_sample(teacher_logits=logits, images=images)
    assert value.item() == pytest.approx(math.sqrt(0.5**2 + 0.5**2) / 5.0, rel=1e-5)


def test_inter_sample_ignores_the_last_image_of_an_odd_batch():
    logits, images = draw(5, 3), draw(5, 1, 2, 2, seed=1)
    even = inter_sample(teacher_logits=logits[:4], images=images[:4])
    assert inter_sample(teacher_logits=logits, images=images) == even
    assert inter_sample(teacher_logits=logits[:3], images=images[:3]) != even


def test_inter_sample_gradient_by_finite_differences():
    logits, images = draw(4, 3).requires_grad_(), draw(4, 1, 2, 2, seed=1).requires_grad_()
    assert gradcheck(lambda t, x: inter_sample(teacher_logits=t, images=x), (logits, images))


def test_inter_sample_decreases_with_the_distance_of_images():
    logits, images = draw(4, 3), draw(4, 1, 2, 2, seed=1)
    near = inter_sample(teacher_logits=logits, images=images)
    far = inter_sample(teacher_logits=logits, images=2 * images)
    torch.testing.assert_close(far, near / 2, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("predictions_differ", [False, True])
@pytest.mark.parametrize("images_differ", [False, True])
def test_inter_sample_is_finite_for_identical_answers_and_identical_images(
    predictions_differ, images_differ
):
    logits = draw(4, 3) if predictions_differ else torch.ones(4, 3, dtype=torch.double)
    images = draw(4, 1, 2, 2) if images_differ else torch.ones(4, 1, 2, 2, dtype=torch.double)
    logits.requires_grad_()
    images.requires_grad_()
    value = inter_sample(teacher_logits=logits, images=images)
    value.backward()
    assert value.isfinite()
    assert logits.grad.isfinite().all()
    assert images.grad.isfinite().all()


def metric_by_hand(features, labels, temperature):
    directions = features / features.norm(dim=1, keepdim=True)
    losses = []
    for i in range(len(labels)):
        companions = [j for j in range(len(labels)) if j != i and labels[j] == labels[i]]
        if not companions:
            continue
        others = [j for j in range(len(labels)) if j != i]
        total = sum(math.exp(directions[i] @ directions[j] / temperature) for j in others)
        logs = [
            math.log(math.exp(directions[i] @ directions[j] / temperature) / total)
            for j in companions
        ]
        losses.append(-sum(logs) / len(logs))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_metric_agrees_with_a_double_loop(temperature):
    features = draw(6, 4)
    value = metric(features=features, labels=LABELS, temperature=temperature)
    assert value.item() == pytest.approx(metric_by_hand(features, LABELS, temperature))


def test_metric_default_temperature():
    features = draw(6, 4)
    value = metric(features=features, labels=LABELS)
    assert value.item() == pytest.approx(metric_by_hand(features, LABELS, 0.1))


def test_metric_gradient_by_finite_differences():
    features = draw(6, 4).requires_grad_()
    assert gradcheck(lambda f: metric(features=f, labels=LABELS, temperature=0.5), (features,))


def test_metric_is_small_for_separated_classes():
    features = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    apart = metric(features=features, labels=torch.tensor([0, 0, 1, 1]))
    mixed = metric(features=features, labels=torch.tensor([0, 1, 0, 1]))
    assert apart.item() == pytest.approx(0.0, abs=1e-6)
    assert mixed.item() == pytest.approx(20.0, abs=1e-3)


@pytest.mark.parametrize("term", [metric, mode_seeking])
def test_terms_on_pairs_are_zero_without_a_pair(term):
    features = draw(3, 4).requires_grad_()
    inputs = {"features": features, "labels": torch.tensor([2, 0, 1])}
    if term is mode_seeking:
        inputs["latents"] = draw(3, 2)
    value = term(**inputs)
    value.backward()
    assert value.item() == 0.0
    assert (features.grad == 0).all()


def test_mode_seeking_by_hand():
    features = torch.tensor([[2.0, 0.0], [0.0, 3.0], [0.0, 5.0], [1.0, 0.0]])
    latents = torch.tensor([[0.0, 0.0], [9.0, 9.0], [3.0, 4.0], [6.0, 8.0]])
    labels = torch.tensor([0, 1, 0, 0])
    # Class 0 has images 0, 2 and 3: pairs 0-2 and 2-3, directions at a right angle,
    # latents at distance 5 both times.
    value = mode_seeking(features=features, labels=labels, latents=latents)
    assert value.item() == pytest.approx(-math.sqrt(2.0) / 5, rel=1e-5)


def test_mode_seeking_averages_over_pairs_of_one_class_only():
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, 1.0]])
    latents = torch.tensor([[0.0], [10.0], [1.0], [12.0]])
    labels = torch.tensor([4, 7, 4, 7])
    # Class 4: 2 / 1; class 7: 0 / 2.
    value = mode_seeking(features=features, labels=labels, latents=latents)
    assert value.item() == pytest.approx(-1.0, rel=1e-5)


def test_mode_seeking_gradient_by_finite_differences():
    features, latents = draw(6, 4).requires_grad_(), draw(6, 3, seed=1).requires_grad_()

    def value(f, z):
        return mode_seeking(features=f, labels=LABELS, latents=z)

    assert gradcheck(value, (features, latents))


def test_mode_seeking_is_finite_for_a_collapsed_generator():
    features = torch.ones(4, 3, requires_grad=True)
    latents = torch.ones(4, 2, requires_grad=True)
    labels = torch.zeros(4, dtype=torch.long)
    value = mode_seeking(features=features, labels=labels, latents=latents)
    value.backward()
    assert value.isfinite()
    assert features.grad.isfinite().all()
    assert latents.grad.isfinite().all()
