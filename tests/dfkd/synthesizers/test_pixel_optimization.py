from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import nn

from dfkd.composition import (
    Adam,
    ConstantRate,
    ImagePool,
    PixelOptimization,
    Schedule,
    Sgd,
    SoftLabelPixels,
    Term,
)
from dfkd.images import ImageSpec
from dfkd.recipe import Recipe
from dfkd.synthesizers.pixels import PixelSynthesizer
from dfkd.synthesizers.protocol import balanced_labels
from dfkd.synthesizers.soft_label_pixels import (
    CONCENTRATIONS,
    SoftLabelPixelSynthesizer,
    class_similarity,
    dirichlet_targets,
)

SPEC = ImageSpec((2, 5, 4), (0.4, 0.6), (0.2, 0.5))
CPU = torch.device("cpu")
PIXELS = Recipe(
    "pixels",
    "none",
    terms=(Term("label-certainty", 1.0),),
    synthesizer=PixelOptimization(steps=3),
    memory=ImagePool(capacity=64),
    schedule=Schedule(batch=8, fresh_batches=0),
    generator=Adam(0.5, policy=ConstantRate()),
)
SOFT_LABEL_PIXELS = replace(
    PIXELS,
    name="soft_label_pixels",
    terms=(Term("soft-label", 1.0),),
    synthesizer=SoftLabelPixels(steps=3),
)
TEACHER = nn.Sequential(nn.Flatten(), nn.Linear(40, 3))


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def pixels(recipe=PIXELS):
    return PixelSynthesizer(recipe, SPEC, 3, CPU)


def soft_label_pixels():
    return SoftLabelPixelSynthesizer(SOFT_LABEL_PIXELS, TEACHER, SPEC, 3, CPU)


def push(synthesizer, loss, seed=0):
    """One step along a random gradient, with a loss of our choice."""
    batch = synthesizer.batch()
    before = batch.images.detach().clone()
    (images,) = synthesizer.parameters()
    images.grad = torch.randn(images.shape, generator=rng(seed))
    synthesizer.step(torch.tensor(loss))
    return before


def assert_within_range(images):
    raw = SPEC.denormalise(images)
    assert raw.min() >= -1e-6
    assert raw.max() <= 1 + 1e-6


@pytest.mark.parametrize("make", [pixels, soft_label_pixels])
def test_batch_returns_the_optimized_pixels(make):
    synthesizer = make()
    synthesizer.begin(5, rng())
    batch = synthesizer.batch()
    assert batch.images.shape == (5, *SPEC.shape)
    assert batch.images.requires_grad
    assert batch.images is synthesizer.parameters()[0]
    assert batch.latents is None


def test_labels_are_classes_in_turn():
    synthesizer = pixels()
    assert torch.equal(synthesizer.targets(8, rng(3)), balanced_labels(8, 3, rng(3)))
    synthesizer.begin(8, rng())
    labels = synthesizer.batch().labels
    assert torch.equal(labels, (labels[0] + torch.arange(8)) % 3)


def test_noise_is_normal_and_reproducible():
    drawn = pixels().noise(500, rng(1))
    assert drawn.mean().abs() < 0.05
    assert abs(drawn.std() - 1) < 0.05
    assert torch.equal(drawn, pixels().noise(500, rng(1)))


@pytest.mark.parametrize("make", [pixels, soft_label_pixels])
def test_images_stay_within_the_value_range(make):
    synthesizer = make()
    synthesizer.begin(6, rng())
    for step in range(5):
        push(synthesizer, loss=5.0 - step, seed=step)
        assert_within_range(synthesizer.batch().images.detach())
    assert_within_range(synthesizer.finish().images)


def test_pixels_within_the_range_are_unchanged():
    inside = SPEC.normalise(torch.rand(4, *SPEC.shape, generator=rng()))
    torch.testing.assert_close(pixels().in_range(inside), inside)


@pytest.mark.parametrize("make", [pixels, soft_label_pixels])
@pytest.mark.parametrize(
    ("losses", "best"), [((3.0, 1.0, 2.0), 1), ((1.0, 2.0, 3.0), 0), ((2.0, 1.0, 1.0), 1)]
)
def test_finish_returns_the_images_of_the_smallest_loss(make, losses, best):
    synthesizer = make()
    synthesizer.begin(4, rng())
    batches = [push(synthesizer, loss, seed) for seed, loss in enumerate(losses)]
    done = synthesizer.finish()
    torch.testing.assert_close(done.images, SPEC.clamp(batches[best]))
    assert not any(torch.equal(batches[i], batches[best]) for i in range(3) if i != best)
    assert not done.images.requires_grad
    assert done.labels is synthesizer.labels


def test_best_images_of_an_earlier_batch_are_dropped():
    synthesizer = pixels()
    synthesizer.begin(4, rng())
    push(synthesizer, loss=0.1)
    synthesizer.finish()
    synthesizer.begin(4, rng(1))
    batch = push(synthesizer, loss=9.0)
    torch.testing.assert_close(synthesizer.finish().images, SPEC.clamp(batch))


def test_step_size_is_learning_rate_times_factor():
    description = Sgd(0.5, momentum=0.0, policy=ConstantRate())
    synthesizer = pixels(replace(PIXELS, generator=description))
    synthesizer.factor = 0.1
    synthesizer.begin(4, rng())
    before = push(synthesizer, loss=1.0, seed=7)
    gradient = torch.randn(before.shape, generator=rng(7))
    expected = SPEC.clamp(before - 0.5 * 0.1 * gradient)
    torch.testing.assert_close(synthesizer.batch().images.detach(), expected)


def test_optimization_reduces_a_real_loss():
    synthesizer = pixels(replace(PIXELS, generator=Adam(0.05, policy=ConstantRate())))
    synthesizer.begin(6, rng())
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Flatten(), nn.Linear(40, 3))
    losses = []
    for _ in range(20):
        batch = synthesizer.batch()
        loss = nn.functional.cross_entropy(teacher(batch.images), batch.labels)
        (batch.images.grad,) = torch.autograd.grad(loss, batch.images)
        synthesizer.step(loss)
        losses.append(loss.item())
    done = synthesizer.finish()
    final = nn.functional.cross_entropy(teacher(done.images), done.labels).item()
    assert final < 0.5 * losses[0]
    assert final == pytest.approx(min(losses), rel=1e-4)


def test_soft_label_pixels_start_uniform_over_the_value_range():
    raw = SPEC.denormalise(soft_label_pixels().noise(500, rng()))
    assert raw.min() >= -1e-6
    assert raw.max() <= 1 + 1e-6
    for quantile in (0.1, 0.5, 0.9):
        assert (raw < quantile).float().mean().item() == pytest.approx(quantile, abs=0.02)


def test_soft_label_pixels_are_stretched_to_the_whole_range_separately():
    images = torch.randn(4, *SPEC.shape, generator=rng()) * torch.tensor([0.1, 1, 5, 20.0]).view(
        4, 1, 1, 1
    )
    raw = SPEC.denormalise(soft_label_pixels().in_range(images))
    torch.testing.assert_close(raw.amin((1, 2, 3)), torch.zeros(4), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(raw.amax((1, 2, 3)), torch.ones(4), atol=1e-5, rtol=0.0)
    # An image keeps the order of its raw pixels.
    before, after = (x.flatten(1).argsort(1) for x in (SPEC.denormalise(images), raw))
    assert torch.equal(before, after)


def test_constant_image_stays_finite():
    assert soft_label_pixels().in_range(torch.ones(1, *SPEC.shape)).isfinite().all()


def test_similarity_comes_from_the_teachers_last_layer():
    expected = class_similarity(TEACHER[1].weight.detach())
    torch.testing.assert_close(soft_label_pixels().similarity, expected)


@pytest.mark.parametrize("shape", [(2, 5), (10, 84), (100, 64)], ids=str)
def test_similarity_is_scaled_to_zero_and_one(shape):
    similarity = class_similarity(torch.randn(shape, generator=rng()))
    assert similarity.shape == (shape[0], shape[0])
    assert similarity.min() >= 0
    assert similarity.max() <= 1
    torch.testing.assert_close(similarity.diagonal(), torch.ones(shape[0]))
    torch.testing.assert_close(similarity.amin(1), torch.zeros(shape[0]))


def test_similarity_by_hand():
    weight = torch.tensor([[2.0, 0.0], [3.0, 3.0], [0.0, 5.0], [-1.0, 0.0]])
    # Cosines of the first row: 1, 0.7071, 0, -1.
    expected = torch.tensor([1.0, (0.5**0.5 + 1) / 2, 0.5, 0.0])
    torch.testing.assert_close(class_similarity(weight)[0], expected)


def test_dirichlet_targets_are_distributions():
    torch.manual_seed(0)
    targets = dirichlet_targets(class_similarity(torch.randn(10, 16)), torch.arange(301) % 10)
    assert targets.shape == (301, 10)
    assert targets.isfinite().all()
    assert targets.min() >= 0
    torch.testing.assert_close(targets.sum(1), torch.ones(301))


def test_dirichlet_targets_follow_the_similarity():
    torch.manual_seed(0)
    similarity = class_similarity(torch.randn(4, 3))
    classes = balanced_labels(16_000, 4, rng())
    targets = dirichlet_targets(similarity, classes)[:8_000]
    expected = similarity / similarity.sum(1, keepdim=True)
    for own in range(4):
        mean = targets[classes[:8_000] == own].mean(0)
        torch.testing.assert_close(mean, expected[own], atol=0.03, rtol=0.0)


def test_second_half_of_a_batch_is_more_peaked():
    torch.manual_seed(0)
    similarity = class_similarity(torch.randn(10, 16))
    targets = dirichlet_targets(similarity, torch.arange(2_000) % 10)
    broad, peaked = (half.max(1).values.mean().item() for half in targets.chunk(2))
    assert CONCENTRATIONS == (1.0, 0.1)
    assert peaked > broad + 0.2


def test_dirichlet_targets_are_largest_at_the_class_of_each_label():
    torch.manual_seed(0)
    # A class that is similar to itself only has almost all the mass of its targets.
    classes = [3, 3, 0, 4, 1, 1, 2, 0, 4]
    assert dirichlet_targets(torch.eye(5), torch.tensor(classes)).argmax(1).tolist() == classes


@pytest.fixture
def concentrations(monkeypatch):
    """What the Dirichlet distributions are made of, one tensor a batch."""
    seen, dirichlet = [], torch.distributions.Dirichlet

    def recording(concentration):
        seen.append(concentration)
        return dirichlet(concentration)

    monkeypatch.setattr(torch.distributions, "Dirichlet", recording)
    return seen


@pytest.mark.parametrize(("count", "broad"), [(6, 3), (5, 3), (1, 1)])
def test_first_half_of_a_batch_has_the_first_scale(concentrations, count, broad):
    similarity = class_similarity(torch.randn(4, 3, generator=rng()))
    classes = torch.arange(count) % 4
    dirichlet_targets(similarity, classes)
    scale = torch.tensor([1.0] * broad + [0.1] * (count - broad))
    expected = scale[:, None] * similarity[classes] + 1e-4
    torch.testing.assert_close(concentrations[0], expected)


@pytest.mark.parametrize("count", [4, 10])
def test_every_class_gets_both_scales_over_small_batches(concentrations, count):
    synthesizer = SoftLabelPixelSynthesizer(SOFT_LABEL_PIXELS, nn.Linear(8, 10), SPEC, 10, CPU)
    synthesizer.similarity = torch.eye(10)
    source = rng()
    for _ in range(60):
        synthesizer.begin(count, source)
    # A class that is similar to itself only has the largest concentration, which is the scale.
    largest, asked = torch.cat(concentrations).max(1)
    seen = set(zip(asked.tolist(), (largest > 0.5).tolist(), strict=True))
    assert seen == set(product(range(10), (False, True)))


def test_small_batches_reach_every_class():
    synthesizer, source, seen = pixels(), rng(), set()
    for _ in range(10):
        synthesizer.begin(2, source)
        seen |= set(synthesizer.batch().labels.tolist())
    assert seen == {0, 1, 2}


def test_soft_label_pixels_have_soft_labels():
    synthesizer = soft_label_pixels()
    torch.manual_seed(0)
    synthesizer.begin(7, rng())
    labels = synthesizer.batch().labels
    assert labels.shape == (7, 3)
    torch.testing.assert_close(labels.sum(1), torch.ones(7))


@pytest.mark.parametrize("make", [pixels, soft_label_pixels])
def test_state_between_batches_is_empty(make):
    synthesizer = make()
    assert synthesizer.state_dict() == {}
    synthesizer.load_state_dict({})
