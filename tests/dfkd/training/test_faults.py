"""Faults injected into real runs are detected, named and rolled back."""

import itertools
import math

import pytest
import torch

from dfkd.recipes import RECIPES
from dfkd.training.budget import Plan
from dfkd.training.health import (
    MAX_INTERVAL,
    WINDOW,
)
from tests.support.faulty_run import (
    NON_ADVERSARIAL,
    RECIPE,
    ObservedRun,
    assert_rolled_back,
    equal_images,
    mnist_loop,
    nan_in_the_student,
    of_one_class,
    replace_images,
    same,
    trained_student,
)
from tests.support.tiny import (
    MNIST,
    make_loop,
    mnist_teacher,
    shrunk,
    weights,
)


def test_nan_in_the_student_is_rolled_back():
    observed = ObservedRun(mnist_loop(NON_ADVERSARIAL, 30), {24}, nan_in_the_student)
    observed.run()
    assert_rolled_back(observed, 25, "the student's loss is nan", observed.healthy)
    assert all(torch.isfinite(part).all() for part in observed.states[-1])


def test_nan_in_the_student_appears_in_the_adversarial_generator_loss():
    observed = ObservedRun(mnist_loop(RECIPE, 30), {24}, nan_in_the_student).run()
    assert_rolled_back(observed, 25, "the generator's loss is nan", observed.healthy)


def test_fault_before_the_first_measurement_restores_the_initial_state():
    loop = mnist_loop(NON_ADVERSARIAL, 6)
    start = weights(loop.student), weights(loop.generator)
    observed = ObservedRun(loop, {3}, nan_in_the_student).run()
    assert_rolled_back(observed, 4, "nan", start)


def test_fault_in_the_warm_up_is_rolled_back():
    loop = make_loop(RECIPE, Plan(6, 2), teacher=mnist_teacher(), student="lenet5-half", spec=MNIST)
    loop._measure_every = MAX_INTERVAL
    start, events = weights(loop.generator), []

    def watch(now):
        events.append((now.phase, now.event))
        if now.event:
            assert torch.equal(start, weights(loop.generator))
        if len(events) == 3:
            with torch.no_grad():
                loop.generator.project.weight.fill_(math.nan)

    loop.run(watch)
    assert [phase for phase, event in events if event] == ["warm-up"]
    assert "the generator's loss is nan" in events[3][1]
    assert events[3][1].startswith("warm-up round 4: ")


def test_exploding_student_gradient_is_rolled_back():
    def swell(loop):
        with torch.no_grad():
            loop.student.fc.f7.weight.mul_(1e6)

    observed = ObservedRun(mnist_loop(NON_ADVERSARIAL, 30), {24}, swell).run()
    assert_rolled_back(observed, 25, "divergence: the student's gradient is", observed.healthy)


def test_exploding_generator_gradient_is_rolled_back():
    def swell(loop):
        with torch.no_grad():
            loop.student.fc.f7.weight.mul_(1e6)

    observed = ObservedRun(mnist_loop(RECIPE, 30), {24}, swell).run()
    assert_rolled_back(observed, 25, "divergence: the generator's gradient is", observed.healthy)


@pytest.mark.slow
def test_lost_agreement_in_two_measurements_restores_the_state_before_both():
    def scramble(loop):
        with torch.no_grad():
            layer = loop.student.fc.f7
            layer.weight.copy_(layer.weight.roll(1, 0))
            layer.bias.copy_(layer.bias.roll(1, 0))

    observed = ObservedRun(mnist_loop(NON_ADVERSARIAL, 65, trained_student()), {39, 59}, scramble)
    observed.run()
    agreements = {r.number: r.agreement for r in observed.rounds if r.agreement is not None}
    assert list(agreements) == [20, 40, 60]
    assert agreements[20] > 0.8
    assert agreements[40] < agreements[20] - 0.3
    assert_rolled_back(observed, 60, "agreement on the frozen probe fell from", observed.states[19])


@pytest.mark.slow
def test_one_low_agreement_is_no_fault():
    def scramble(loop):
        with torch.no_grad():
            loop.student.fc.f7.weight.copy_(loop.student.fc.f7.weight.roll(1, 0))

    observed = ObservedRun(mnist_loop(NON_ADVERSARIAL, 45, trained_student()), {39}, scramble).run()
    assert observed.events == {}


@pytest.mark.slow
def test_equal_images_for_a_window_of_rounds_are_rolled_back():
    observed = ObservedRun(
        mnist_loop(RECIPE, 40), {25}, lambda loop: replace_images(loop, WINDOW, equal_images)
    ).run()
    assert_rolled_back(
        observed, 25 + WINDOW, "mode collapse: all images alike", observed.states[19]
    )
    assert observed.rounds[30].spread == 0.0


def test_one_class_for_a_window_of_rounds_is_rolled_back():
    observed = ObservedRun(
        mnist_loop(RECIPE, 40), {25}, lambda loop: replace_images(loop, 2 * WINDOW, of_one_class)
    ).run()
    number = next(iter(observed.events))
    # The window before may contain a few images of other classes.
    assert 25 + WINDOW - 1 <= number <= 25 + WINDOW
    assert observed.rounds[30].spread > 0.3
    assert_rolled_back(observed, number, "mode collapse: one class", observed.states[19])


def test_roll_back_restores_the_state_before_the_collapse_began():
    """A measurement within the window must not record the first collapsed rounds as healthy."""
    loop = mnist_loop(RECIPE, 30)
    start = weights(loop.student), weights(loop.generator)
    observed = ObservedRun(
        loop, {15}, lambda loop: replace_images(loop, WINDOW, equal_images)
    ).run()
    assert list(observed.events) == [25]
    assert not same(observed.states[24], observed.states[19])
    assert same(observed.states[24], start)


@pytest.mark.parametrize(
    "choose", [equal_images, pytest.param(of_one_class, marks=pytest.mark.slow)]
)
def test_short_collapse_is_no_fault(choose):
    observed = ObservedRun(
        mnist_loop(RECIPE, 40), {25}, lambda loop: replace_images(loop, WINDOW - 2, choose)
    )
    assert observed.run().events == {}


def test_one_low_agreement_without_images_does_not_block_later_measurements():
    """A pool that is complete shows no image that could clear a suspicion."""
    recipe = shrunk(RECIPES["zskd"], batch=32)
    loop = make_loop(
        recipe, Plan(15, 12), teacher=mnist_teacher(), student=trained_student(), spec=MNIST
    )
    loop._measure_every = 2
    agreements = iter([0.9, 0.2, 0.9, 0.9, 0.9, 0.9])
    loop.health.agreement = lambda student: next(agreements)
    healthy = []
    loop.run(lambda now: healthy.append((now.phase, now.number, loop._healthy)))
    healthy_states = [state for phase, _, state in healthy if phase != "warm-up"]
    measurements = [healthy_states[i] for i in range(1, 12, 2)]
    changed = [after is not before for before, after in itertools.pairwise(measurements)]
    assert changed == [False, True, True, True, True]
    assert loop.health.events == []
