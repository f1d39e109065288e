"""Generative replay by a variational autoencoder."""

import math
from dataclasses import replace

import pytest
import torch

from dfkd.composition import VaeReplay
from dfkd.memory.labelled_batch import LabelledBatch
from dfkd.memory.vae_replay import VaeMemory, tuning_loss, vae_loss
from dfkd.models.counted_teacher import Counts, Teacher
from dfkd.models.vae import Vae
from dfkd.training.budget import Plan
from tests.support.tiny import (
    CPU,
    SMALL,
    SPEC,
    every_number,
    make_loop,
    make_teacher,
    through_a_file,
    weights,
)


def replay(size=4, steps=2, latent=6):
    torch.manual_seed(1)
    counts = Counts()
    return VaeMemory(Vae(SPEC, latent, width=4), Teacher(make_teacher(), counts), size, 1e-3, steps)


def labelled_batch(count=8):
    torch.manual_seed(2)
    return LabelledBatch(torch.randn(count, *SPEC.shape), torch.randn(count, 10))


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def bytes_of(state):
    return sum(tensor.numel() * tensor.element_size() for tensor in every_number(state))


def test_sample_before_the_first_update_is_none():
    memory = replay()
    memory.store(labelled_batch())
    memory.end_round(labelled_batch())
    assert memory.sample(4, rng()) is None
    assert memory.teacher.counts.teacher_passes == 0


def test_sample_has_the_requested_size_and_the_teachers_logits():
    memory = replay()
    memory.observe(labelled_batch(), 0, rng())
    drawn = memory.sample(5, rng())
    assert drawn.images.shape == (5, *SPEC.shape)
    assert not drawn.images.requires_grad
    torch.testing.assert_close(drawn.logits, memory.teacher.network(drawn.images))


def test_vae_is_trained_in_the_first_steps_of_a_round_only():
    memory = replay(steps=2)
    for step in range(5):
        memory.observe(labelled_batch(), step, rng())
    assert memory.updates == 2


def test_vae_learns_from_half_a_batch_and_its_own_samples(monkeypatch):
    from dfkd.memory import vae_replay

    seen = []

    def recorded(drawn, answers, targets, mean, log_variance):
        seen.append(targets)
        return vae_loss(drawn, answers, targets, mean, log_variance)

    monkeypatch.setattr(vae_replay, "vae_loss", recorded)
    memory, present = replay(size=3), labelled_batch(8)
    memory.observe(present, 0, rng())
    memory.observe(present, 1, rng())
    assert torch.equal(seen[0].images, present.images[:4])
    assert len(seen[1].images) == 4 + 3
    assert torch.equal(seen[1].images[:4], present.images[:4])
    assert torch.equal(seen[1].logits[:4], present.logits[:4])


def test_training_improves_reconstructions():
    memory, present = replay(), labelled_batch()
    target = LabelledBatch(present.images[:4], memory.teacher.plain_pass(present.images[:4]).logits)
    present = LabelledBatch(target.images.repeat(2, 1, 1, 1), target.logits.repeat(2, 1))
    memory.optimizer.param_groups[0]["lr"] = 0.01

    def distance():
        torch.manual_seed(5)
        with torch.no_grad():
            drawn, mean, log_variance = memory.vae.train()(target.images)
            answers = memory.teacher.network(drawn)
        return vae_loss(drawn, answers, target, mean, log_variance).item()

    before = distance()
    for _ in range(30):
        memory.observe(present, 0, rng())
    assert distance() < 0.9 * before


def test_vae_state_does_not_grow():
    recipe = replace(SMALL, memory=VaeReplay(latent=6, share=0.5, steps=2))
    loop = make_loop(recipe, Plan(0, 10))
    sizes = []
    loop.run(lambda _: sizes.append(bytes_of(loop.memory.state_dict())))
    assert len(sizes) == 10
    assert sizes[0] == sizes[9] > 0


def test_vae_loss_by_hand():
    """Two images, two classes, two latents: each part of the loss has a different value."""
    target = LabelledBatch(torch.zeros(2, 1, 1, 2), torch.zeros(2, 2))
    drawn = torch.tensor([[1.0, 2.0], [3.0, -2.0]]).view(2, 1, 1, 2)  # Mean absolute value 2.
    answers = torch.tensor([[1.0, 0.0], [0.0, -5.0]])  # Mean absolute value 1.5.
    mean = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    log_variance = torch.tensor([[0.0, 1.0], [math.log(4.0), 0.0]])
    # KL(N(m, v) || N(0, 1)) = (m^2 + v - 1 - log v) / 2, summed over latents, mean over images.
    first = 0.5 * (1 + 1 - 1 - 0) + 0.5 * (0 + math.e - 1 - 1)
    second = 0.5 * (0 + 4 - 1 - math.log(4.0)) + 0.5 * (4 + 1 - 1 - 0)
    expected = 2 + 1.5 + 1e-5 * (first + second) / 2
    # In double precision, because rounding would hide the prior's 1e-5.
    values = (drawn.double(), answers.double(), target, mean.double(), log_variance.double())
    assert vae_loss(*values).item() == pytest.approx(expected, abs=1e-9)


def test_vae_prior_agrees_with_torchs_divergence():
    """Equal to torch's KL between normals, and zero on the prior itself."""
    torch.manual_seed(0)
    mean, log_variance = torch.randn(5, 3).double(), torch.randn(5, 3).double()
    nothing = torch.zeros(5, 1, 1, 1).double()
    target = LabelledBatch(nothing, nothing[:, :, 0, 0])
    normal = torch.distributions.Normal
    theirs = torch.distributions.kl_divergence(
        normal(mean, (log_variance / 2).exp()), normal(torch.zeros(3), torch.ones(3))
    )
    ours = vae_loss(nothing, nothing[:, :, 0, 0], target, mean, log_variance)
    assert ours.item() == pytest.approx(1e-5 * theirs.sum(1).mean().item(), rel=1e-6)
    zero = torch.zeros(5, 3).double()
    assert vae_loss(nothing, nothing[:, :, 0, 0], target, zero, zero).item() == 0


def test_tuning_loss_by_hand():
    """Equal logits of two classes, so that every part has a simple value."""
    logits = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    latents = torch.tensor([[1.0, 2.0], [3.0, 2.0], [5.0, 5.0]])
    # Certainty log 2; balance -log10 2 times 5. Means 3 and 3; variances (unbiased) 4 and 3.
    spread = ((4 - 1) ** 2 + (3 - 1) ** 2) / 2
    centre = (3**2 + 3**2) / 2
    expected = math.log(2) - 5 * math.log10(2) + spread + centre
    value = tuning_loss(logits, latents)
    assert value.item() == pytest.approx(expected, rel=1e-6)


def test_tuning_loss_of_a_single_latent_is_finite():
    value = tuning_loss(torch.zeros(1, 2), torch.ones(1, 4))
    assert value.item() == pytest.approx(math.log(2) - 5 * math.log10(2) + 1, rel=1e-6)


def test_tuning_is_one_adam_step_on_the_latents(monkeypatch):
    from dfkd.memory import vae_replay

    seen = []

    def recorded(logits, latents):
        seen.append((latents, latents.detach().clone()))
        return tuning_loss(logits, latents)

    monkeypatch.setattr(vae_replay, "tuning_loss", recorded)
    memory = replay()
    memory.observe(labelled_batch(), 0, rng())
    memory.sample(4, rng(3))
    after, before = seen[-1]
    assert torch.equal(before, torch.randn(4, 6, generator=rng(3)))
    moved = after.detach() - before
    # Adam's first step is the learning rate against the gradient's sign.
    torch.testing.assert_close(moved, -0.02 * after.grad.sign(), rtol=1e-3, atol=1e-4)


def test_sample_decodes_the_tuned_latents(monkeypatch):
    from dfkd.memory import vae_replay

    memory = replay()
    memory.observe(labelled_batch(), 0, rng())
    tuned = memory.sample(4, rng(3)).images
    monkeypatch.setattr(vae_replay, "TUNING_LR", 0.0)
    assert not torch.equal(tuned, memory.sample(4, rng(3)).images)


def test_sample_does_not_change_weights_gradients_or_grad_mode():
    memory = replay()
    memory.observe(labelled_batch(), 0, rng())
    parameters = list(memory.vae.parameters())
    before = [p.detach().clone() for p in parameters]
    for p in parameters:
        p.grad = None
    memory.sample(4, rng())
    assert torch.is_grad_enabled()
    assert all(torch.equal(a, b) for a, b in zip(before, parameters, strict=True))
    assert all(p.grad is None for p in parameters)
    assert all(p.requires_grad for p in parameters)
    assert all(p.grad is None for p in memory.teacher.network.parameters())


def test_training_does_not_change_the_teacher():
    memory = replay()
    before = weights(memory.teacher.network)
    memory.observe(labelled_batch(), 0, rng())
    assert torch.equal(before, weights(memory.teacher.network))
    assert memory.learns


def test_resumed_vae_equals_an_uninterrupted_one():
    memory = replay()
    memory.observe(labelled_batch(), 0, rng())
    other = replay()
    other.load_state_dict(through_a_file(memory.state_dict()), CPU)
    results = []
    for one in (memory, other):
        torch.manual_seed(7)  # The VAE's noise comes from the global state.
        one.observe(labelled_batch(), 1, rng(1))
        results.append((weights(one.vae), one.sample(4, rng(2)).images))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
