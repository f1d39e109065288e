import copy

import pytest
import torch
from torch import nn

from dfkd.composition import (
    Adam,
    ConstantRate,
    FreshGenerator,
    GeneratorNetwork,
    ImagePool,
    KeptGenerator,
    MetaGenerator,
    NoisyLayer,
    PixelOptimization,
    Schedule,
    Sgd,
    SoftLabelPixels,
    Term,
)
from dfkd.images import ImageSpec
from dfkd.models.generators import Generator
from dfkd.models.noisy_layer_generator import NoisyLayerGenerator
from dfkd.recipe import Recipe
from dfkd.synthesizers import build_generator, make_synthesizer
from dfkd.synthesizers.fresh_generator import FreshGeneratorSynthesizer
from dfkd.synthesizers.kept_generator import KeptGeneratorSynthesizer
from dfkd.synthesizers.meta_generator import MetaGeneratorSynthesizer
from dfkd.synthesizers.noisy_layer import NoisyLayerSynthesizer
from dfkd.synthesizers.pixels import PixelSynthesizer
from dfkd.synthesizers.protocol import balanced_labels
from dfkd.synthesizers.soft_label_pixels import SoftLabelPixelSynthesizer

SPEC = ImageSpec((1, 8, 8), (0.5,), (0.5,))
CPU = torch.device("cpu")
STEPS = 3


def recipe(kind, optimizer=None, **options):
    network = GeneratorNetwork("upsample", "sigmoid", latent=6, width=4)
    return Recipe(
        kind.__name__,
        "none",
        terms=(Term("label-certainty", 1.0),),
        synthesizer=kind(network, steps=STEPS, **options),
        memory=ImagePool(capacity=64),
        schedule=Schedule(batch=8, fresh_batches=0),
        generator=optimizer or Adam(0.1, policy=ConstantRate()),
    )


def fresh(optimizer=None, **options):
    torch.manual_seed(0)
    return FreshGeneratorSynthesizer(recipe(FreshGenerator, optimizer, **options), SPEC, 3, CPU)


def meta(optimizer=None, renew_every=0, **options):
    torch.manual_seed(0)
    made = recipe(MetaGenerator, optimizer, renew_every=renew_every, **options)
    return MetaGeneratorSynthesizer(made, build_generator(made, SPEC, 3), 3, CPU)


def noisy(optimizer=None, renew_every=0):
    torch.manual_seed(0)
    made = recipe(NoisyLayer, optimizer, renew_every=renew_every)
    generator = NoisyLayerGenerator(made.synthesizer.network, SPEC, torch.randn(3, 5), groups=2)
    return NoisyLayerSynthesizer(made, generator, 3, CPU)


ALL = [fresh, meta, noisy]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def push(synthesizer, loss, seed=0):
    """One step along a random gradient, with a loss of our choice."""
    images = synthesizer.batch().images.detach().clone()
    source = rng(seed)
    for parameter in synthesizer.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=source)
    synthesizer.step(torch.tensor(loss))
    return images


def push_and_finish(synthesizer):
    push(synthesizer, loss=1.0)
    return synthesizer.finish()


def values(network):
    return [p.detach().clone() for p in network.parameters()]


def equal_tensors(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_balanced_labels_are_the_classes_in_turn():
    source, starts = rng(), []
    for _ in range(300):
        labels = balanced_labels(8, 3, source)
        assert labels.dtype == torch.long
        assert labels.device == CPU
        start = labels[0].item()
        assert labels.tolist() == [(start + i) % 3 for i in range(8)]
        starts.append(start)
    assert all(80 < starts.count(own) < 120 for own in range(3))
    assert torch.equal(balanced_labels(8, 3, rng(1)), balanced_labels(8, 3, rng(1)))


@pytest.mark.parametrize("make", ALL)
def test_batch_has_the_classes_in_turn(make):
    synthesizer = make()
    synthesizer.begin(8, rng())
    batch = synthesizer.batch()
    assert batch.images.shape == (8, 1, 8, 8)
    assert torch.equal(batch.labels, balanced_labels(8, 3, rng()))
    (gradient,) = torch.autograd.grad(batch.images.square().sum(), synthesizer.parameters()[0])
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize(
    ("losses", "best"), [((3.0, 1.0, 2.0), 1), ((1.0, 2.0, 3.0), 0), ((2.0, 1.0, 1.0), 1)]
)
def test_finish_returns_the_images_of_the_smallest_loss(make, losses, best):
    synthesizer = make()
    synthesizer.begin(6, rng())
    batches = [push(synthesizer, loss, seed) for seed, loss in enumerate(losses)]
    done = synthesizer.finish()
    assert torch.equal(done.images, batches[best])
    assert not any(torch.equal(batches[i], batches[best]) for i in range(3) if i != best)
    assert not done.images.requires_grad
    assert torch.equal(done.labels, balanced_labels(6, 3, rng()))


@pytest.mark.parametrize("make", [fresh, meta])
@pytest.mark.parametrize("conditioning", [None, "product"])
@pytest.mark.parametrize(("losses", "best"), [((3.0, 1.0, 2.0), 1), ((1.0, 2.0, 3.0), 0)])
def test_finish_returns_the_latents_of_the_returned_images(make, conditioning, losses, best):
    synthesizer = make(latent_lr=0.25, conditioning=conditioning)
    synthesizer.begin(6, rng())
    latents, networks = [], []
    for seed, loss in enumerate(losses):
        latents.append(synthesizer.latents.detach().clone())
        networks.append(copy.deepcopy(synthesizer.network()))
        push(synthesizer, loss, seed)
    done = synthesizer.finish()
    assert torch.equal(done.latents, latents[best])
    assert not any(torch.equal(latents[i], latents[best]) for i in range(3) if i != best)
    assert not done.latents.requires_grad
    # Network, latents and labels of that step give the same images again.
    conditional = done.labels if conditioning else None
    assert torch.equal(networks[best](done.latents, conditional), done.images)


@pytest.mark.parametrize("make", ALL)
def test_small_batches_reach_every_class(make):
    synthesizer, source, seen = make(), rng(), set()
    for _ in range(10):
        synthesizer.begin(2, source)
        seen |= set(push_and_finish(synthesizer).labels.tolist())
    assert seen == {0, 1, 2}


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("finished", [False, True])
def test_best_images_of_an_interrupted_batch_are_dropped(make, finished):
    synthesizer = make()
    synthesizer.begin(6, rng())
    push(synthesizer, loss=0.1)
    if finished:
        synthesizer.finish()
    synthesizer.begin(6, rng(1))
    batch = push(synthesizer, loss=9.0)
    assert torch.equal(synthesizer.finish().images, batch)


@pytest.mark.parametrize("make", ALL)
def test_step_changes_the_images(make):
    synthesizer = make()
    synthesizer.begin(6, rng())
    before = push(synthesizer, loss=1.0)
    assert not torch.equal(synthesizer.batch().images, before)


@pytest.mark.parametrize("make", ALL)
def test_latents_are_standard_normal_and_reproducible(make):
    drawn = []
    for seed in (4, 4, 5):
        synthesizer = make()
        synthesizer.begin(500, rng(seed))
        drawn.append(synthesizer.latents)
    assert drawn[0].shape == (500, 6)
    assert abs(drawn[0].mean()) < 0.05
    assert abs(drawn[0].std() - 1) < 0.05
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize("make", [fresh, meta])
def test_latents_have_their_own_learning_rate(make):
    for rate in (0.0, 0.25):
        description = Sgd(0.5, momentum=0.0, policy=ConstantRate())
        synthesizer = make(description, latent_lr=rate)
        synthesizer.factor = 0.1
        synthesizer.begin(6, rng(4))
        before = synthesizer.latents.detach().clone()
        assert any(p is synthesizer.latents for p in synthesizer.parameters()) == (rate > 0)
        push(synthesizer, loss=1.0)
        if rate:
            expected = before - 0.1 * rate * synthesizer.latents.grad
            torch.testing.assert_close(synthesizer.latents.detach(), expected)
        else:
            assert torch.equal(synthesizer.latents, before)


@pytest.mark.parametrize("make", [fresh, meta])
@pytest.mark.parametrize("conditioning", [None, "product"])
def test_conditioning_adds_a_class_embedding(make, conditioning):
    synthesizer = make(conditioning=conditioning)
    synthesizer.begin(6, rng())
    assert (synthesizer.network().embedding is not None) == bool(conditioning)
    assert synthesizer.batch().labels is not None


@pytest.mark.parametrize("make", ALL)
def test_batch_is_drawn_in_train_mode(make):
    synthesizer = make()
    synthesizer.begin(6, rng())
    synthesizer.network().eval()
    synthesizer.batch()
    assert synthesizer.network().training


def test_each_batch_has_a_new_generator():
    synthesizer = fresh()
    synthesizer.begin(6, rng())
    first = synthesizer.network()
    synthesizer.begin(6, rng())
    assert synthesizer.network() is not first
    assert not equal_tensors(values(first), values(synthesizer.network()))
    assert synthesizer.state_dict() == {}
    synthesizer.load_state_dict({})


def test_meta_generator_is_unchanged_until_finish():
    synthesizer = meta()
    before = values(synthesizer.generator)
    synthesizer.begin(6, rng())
    assert equal_tensors(values(synthesizer.network()), before)
    for seed in range(STEPS):
        push(synthesizer, loss=1.0, seed=seed)
    assert equal_tensors(values(synthesizer.generator), before)
    assert not equal_tensors(values(synthesizer.network()), before)
    synthesizer.finish()
    assert not equal_tensors(values(synthesizer.generator), before)


def test_meta_gradient_is_the_sum_of_the_copys_gradients():
    synthesizer = meta(latent_lr=0.1)
    synthesizer.begin(6, rng())
    sums = [torch.zeros_like(p) for p in synthesizer.generator.parameters()]
    for step in range(STEPS):
        batch = synthesizer.batch()
        loss = (batch.images * (step + 1)).square().sum()
        for parameter in synthesizer.parameters():
            parameter.grad = None
        loss.backward(inputs=synthesizer.parameters())
        clone = list(synthesizer.network().parameters())
        sums = [total + p.grad for total, p in zip(sums, clone, strict=True)]
        synthesizer.step(loss)
    for total, own in zip(sums, synthesizer.generator.parameters(), strict=True):
        torch.testing.assert_close(own.grad, total)
    assert sums[0].abs().sum() > 0


def test_meta_learning_rate_is_multiplied_by_the_steps():
    synthesizer = meta(Sgd(0.01, momentum=0.0, policy=ConstantRate()))
    synthesizer.factor = 0.5
    before = values(synthesizer.generator)
    synthesizer.begin(6, rng())
    for seed in range(STEPS):
        push(synthesizer, loss=1.0, seed=seed)
    sums = [p.grad.clone() for p in synthesizer.generator.parameters()]
    synthesizer.finish()
    for old, total, new in zip(before, sums, synthesizer.generator.parameters(), strict=True):
        torch.testing.assert_close(new.detach(), old - 0.01 * STEPS * 0.5 * total)


def test_meta_gradients_do_not_accumulate_over_batches():
    synthesizer = meta()
    for batch in range(2):
        synthesizer.begin(6, rng(batch))
        push(synthesizer, loss=1.0, seed=batch)
        expected = [p.grad for p in synthesizer.network().parameters()]
        own = [p.grad.clone() for p in synthesizer.generator.parameters()]
        assert equal_tensors(own, expected)
        synthesizer.finish()


def test_meta_generator_renews_its_first_layers():
    synthesizer = meta(renew_every=2)
    renewed = []
    for batch in range(5):
        before = copy.deepcopy(synthesizer.generator)
        synthesizer.begin(6, rng(batch))
        renewed.append(
            not equal_tensors(values(before.project), values(synthesizer.generator.project))
        )
        # A norm that was just initialized is neutral; a trained one is not.
        first_norm = synthesizer.generator.normalise
        assert bool((first_norm.weight == 1).all()) == (batch == 0 or renewed[-1])
        assert equal_tensors(values(before.trunk), values(synthesizer.generator.trunk))
        assert equal_tensors(values(synthesizer.network()), values(synthesizer.generator))
        push(synthesizer, loss=1.0, seed=batch)
        synthesizer.finish()
    assert renewed == [False, False, True, False, True]


@pytest.mark.parametrize("make", [meta, noisy])
def test_per_batch_synthesizer_continues_from_its_state(make):
    description = Adam(0.01, policy=ConstantRate())
    first, second = make(description, renew_every=2), make(description, renew_every=2)

    def batch(synthesizer, seed):
        torch.manual_seed(seed)
        synthesizer.begin(6, rng(seed))
        for step in range(STEPS):
            push(synthesizer, loss=1.0 - step, seed=10 * seed + step)
        return synthesizer.finish().images

    for seed in range(3):
        batch(first, seed)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for seed in range(3, 6):
        assert torch.equal(batch(second, seed), batch(first, seed))


def test_only_the_noisy_layer_is_initialized_for_each_batch():
    synthesizer = noisy()
    synthesizer.begin(6, rng())
    push(synthesizer, loss=1.0)
    synthesizer.finish()
    layers, trunk = values(synthesizer.generator.noisy), values(synthesizer.generator.trunk)
    synthesizer.begin(6, rng())
    assert not equal_tensors(values(synthesizer.generator.noisy), layers)
    assert equal_tensors(values(synthesizer.generator.trunk), trunk)


def test_noisy_layer_is_trained_but_embeddings_are_not():
    synthesizer = noisy()
    synthesizer.begin(6, rng())
    embeddings = synthesizer.generator.embeddings.clone()
    layers = values(synthesizer.generator.noisy)
    for seed in range(STEPS):
        push(synthesizer, loss=1.0, seed=seed)
    assert not equal_tensors(values(synthesizer.generator.noisy), layers)
    assert torch.equal(synthesizer.generator.embeddings, embeddings)
    assert not any(p is synthesizer.generator.embeddings for p in synthesizer.parameters())


def test_noisy_layer_generator_is_renewed():
    synthesizer = noisy(renew_every=2)
    renewed = []
    for batch in range(5):
        before = values(synthesizer.generator.trunk)
        embeddings = synthesizer.generator.embeddings.clone()
        synthesizer.begin(6, rng(batch))
        changed = [
            not torch.equal(a, b)
            for a, b in zip(before, synthesizer.generator.trunk.parameters(), strict=True)
        ]
        assert any(changed) == all(changed)
        renewed.append(all(changed))
        assert torch.equal(synthesizer.generator.embeddings, embeddings)
        push(synthesizer, loss=1.0, seed=batch)
        synthesizer.finish()
    assert renewed == [False, False, True, False, True]


def test_redraw_changes_the_images_of_every_class():
    torch.manual_seed(0)
    embeddings = torch.randn(3, 5)
    generator = NoisyLayerGenerator(GeneratorNetwork(latent=6, width=4), SPEC, embeddings, groups=2)
    labels = torch.arange(6) % 3
    first, again = generator(labels), generator(labels)
    assert torch.equal(first, again)
    generator.redraw()
    apart = (generator(labels) - first).flatten(1).norm(dim=1)
    assert (apart > 0.1).all()
    assert torch.equal(generator.embeddings, embeddings)


RUNNING = {
    KeptGenerator(): KeptGeneratorSynthesizer,
    FreshGenerator(steps=2): FreshGeneratorSynthesizer,
    MetaGenerator(steps=2, renew_every=10): MetaGeneratorSynthesizer,
    NoisyLayer(steps=2, renew_every=10): NoisyLayerSynthesizer,
    PixelOptimization(steps=2): PixelSynthesizer,
    SoftLabelPixels(steps=2): SoftLabelPixelSynthesizer,
}


@pytest.mark.parametrize("described", RUNNING, ids=lambda one: type(one).__name__)
def test_make_synthesizer_builds_every_kind(described):
    term = "soft-label" if described.labels == "soft" else "certainty"
    made = Recipe(
        "of the test",
        "none",
        terms=(Term(term, 1.0),),
        synthesizer=described,
        memory=ImagePool(capacity=256),
        schedule=Schedule(fresh_batches=int(described.draws_on_demand)),
    )
    generator = build_generator(made, SPEC, 3)
    lasting = {KeptGenerator: Generator, MetaGenerator: Generator, NoisyLayer: NoisyLayerGenerator}
    assert type(generator) is lasting.get(type(described), type(None))
    synthesizer = make_synthesizer(
        made,
        generator=generator,
        teacher=nn.Sequential(nn.Flatten(), nn.Linear(64, 3)),
        spec=SPEC,
        classes=3,
        device=CPU,
    )
    assert type(synthesizer) is RUNNING[described]
    if hasattr(described, "renew_every"):
        assert synthesizer.described.renew_every == 10


def test_no_two_images_of_a_batch_share_class_and_noisy_layer():
    """There is no latent: such images would be the same."""
    made = recipe(NoisyLayer)
    batch = made.schedule.batch
    generator = build_generator(made, SPEC, 3)
    assert len(generator.noisy) == -(-batch // 3)
    for start in range(3):
        images = generator.eval()((torch.arange(batch) + start) % 3)
        assert len(images.flatten(1).unique(dim=0)) == batch


def test_given_embeddings_are_used():
    made = recipe(NoisyLayer)
    embeddings = torch.randn(3, 7)
    assert torch.equal(build_generator(made, SPEC, 3, embeddings).embeddings, embeddings)
    assert build_generator(made, SPEC, 3).embeddings.shape == (3, 512)
