"""The running average of the generator as a source of replayed images."""

import pytest
import torch

from dfkd.memory.average_generator import AverageGeneratorMemory
from dfkd.recipes import RECIPES
from dfkd.training.budget import Plan
from tests.support.tiny import CPU, make_loop, shrunk, through_a_file, weights

RECIPE = shrunk(RECIPES["mad"])


def test_average_after_two_rounds_by_hand():
    loop = make_loop(RECIPE, Plan(0, 2))
    # Drawing changes the running statistics, so only the weights are compared.
    seen = [[p.detach().clone() for p in loop.generator.parameters()]]
    loop.run(lambda _: seen.append([p.detach().clone() for p in loop.generator.parameters()]))
    for first, second, third, average in zip(*seen, loop.memory.average.parameters(), strict=True):
        expected = 0.95 * (0.95 * first + 0.05 * second) + 0.05 * third
        torch.testing.assert_close(average.detach(), expected, rtol=1e-5, atol=1e-7)
        assert not torch.equal(first, third)


def test_batch_norm_statistics_are_averaged_but_counts_are_not():
    loop = make_loop(RECIPE, Plan(0, 1))
    memory, generator = loop.memory, loop.generator
    for module in generator.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.fill_(1.0)
            module.num_batches_tracked.fill_(40)
    memory.end_round(None)
    norm = memory.average.normalise
    torch.testing.assert_close(norm.running_mean, torch.full_like(norm.running_mean, 0.05))
    assert norm.num_batches_tracked == 0


@pytest.mark.parametrize(("decay", "follows"), [(0.0, True), (1.0, False)])
def test_decay_of_zero_and_one(decay, follows):
    loop = make_loop(RECIPE, Plan(0, 1))
    memory = AverageGeneratorMemory(loop.synthesizer, loop._teacher, decay)
    before = weights(memory.average)
    with torch.no_grad():
        for parameter in loop.generator.parameters():
            parameter.add_(1.0)
    memory.end_round(None)
    assert torch.equal(weights(memory.average), weights(loop.generator)) == follows
    assert torch.equal(weights(memory.average), before) != follows


def test_sampling_does_not_change_the_generator():
    loop = make_loop(RECIPE, Plan(0, 1))
    before = weights(loop.generator)
    drawn = loop.memory.sample(6, torch.Generator().manual_seed(0))
    assert torch.equal(before, weights(loop.generator))
    assert loop.memory.average is not loop.generator
    assert not drawn.images.requires_grad
    assert loop.counts.teacher_passes == 6
    torch.testing.assert_close(drawn.logits, loop._teacher.network(drawn.images))


def test_samples_come_from_the_average():
    loop = make_loop(RECIPE, Plan(0, 1))
    first = loop.memory.sample(6, torch.Generator().manual_seed(0)).images
    with torch.no_grad():
        for parameter in loop.generator.parameters():
            parameter.zero_()
    second = loop.memory.sample(6, torch.Generator().manual_seed(0)).images
    assert torch.equal(first, second)


def test_average_samples_from_the_first_step():
    memory = make_loop(RECIPE, Plan(0, 1)).memory
    assert memory.sample(2, torch.Generator().manual_seed(0)) is not None
    assert memory.learns


def test_resumed_average_equals_an_uninterrupted_one():
    loop = make_loop(RECIPE, Plan(0, 2))
    loop.run()
    other = AverageGeneratorMemory(loop.synthesizer, loop._teacher, 0.95)
    other.load_state_dict(through_a_file(loop.memory.state_dict()), CPU)
    assert torch.equal(weights(loop.memory.average), weights(other.average))
    with torch.no_grad():
        for parameter in loop.generator.parameters():
            parameter.add_(1.0)
    for memory in (loop.memory, other):
        memory.end_round(None)
    assert torch.equal(weights(loop.memory.average), weights(other.average))
