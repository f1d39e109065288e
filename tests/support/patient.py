"""A loop that is made sick and watched, for the tests of health."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from dfkd.optimizers import rate_factor
from dfkd.recipes.house import HOUSE
from dfkd.synthesizers import GeneratedBatch
from dfkd.training.budget import Plan
from dfkd.training.health import MAX_INTERVAL
from tests.support.tiny import MNIST, make_loop, mnist_teacher, shrunk, weights

RECIPE = shrunk(HOUSE, batch=32, student_steps=2, fresh_batches=2)
BLIND = replace(RECIPE, terms=RECIPE.terms[:2])
"""Without an adversary the generator does not feel a sick student first."""
COMMON = 4
"""A class that the generator draws in every round, so that there are images of it to choose."""


def on_mnist(recipe=RECIPE, rounds=60, student="lenet5-half"):
    loop = make_loop(recipe, Plan(0, rounds), teacher=mnist_teacher(), student=student, spec=MNIST)
    # As in a long run, so that it is known which state is returned to.
    loop._measure_every = MAX_INTERVAL
    return loop


def knowing():
    """A student that knows already what the teacher knows."""
    student = copy.deepcopy(mnist_teacher())
    return student.requires_grad_(True)


class Patient:
    """A loop that is watched, and made sick after a round.

    Attributes:
        rounds: What the loop reported.
        healthy: (student, generator) as the last look left them.
        rates: (student's, generator's) learning rate in each round.
    """

    def __init__(self, loop, sick_after=(), poison=lambda loop: None):
        self.loop, self.sick_after, self.poison = loop, sick_after, poison
        self.rounds, self.rates, self.states = [], [], []
        self.healthy = self.state()

    def state(self):
        return weights(self.loop.student), weights(self.loop.generator)

    def run(self):
        self.loop.run(self.watch)
        return self

    def watch(self, now):
        self.rounds.append(now)
        self.rates.append(
            tuple(
                optimizer.param_groups[0]["lr"]
                for optimizer in (
                    self.loop._student_phase.optimizer,
                    self.loop.synthesizer.optimizer,
                )
            )
        )
        self.states.append(self.state())
        if now.event is None and now.number % MAX_INTERVAL == 0:
            self.healthy = self.state()
        if now.number in self.sick_after:
            self.poison(self.loop)

    @property
    def events(self):
        return {r.number: r.event for r in self.rounds if r.event}


def same(ours, theirs):
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def nan_in_the_student(loop):
    with torch.no_grad():
        next(loop.student.parameters()).fill_(math.nan)


def assert_rolled_back(patient, number, words, healthy):
    """One event in one round, the state of the last look, and half the rates from then on."""
    assert list(patient.events) == [number]
    event = patient.events[number]
    assert words in event
    assert event == f"round {number}: {event.split(': ', 1)[1]}"
    assert event.endswith("rolled back, learning rates times 0.5")
    assert patient.loop.health.events == [event]
    assert same(patient.states[number - 1], healthy)
    recipe, total = patient.loop.recipe, patient.rounds[-1].total
    for index, rates in enumerate(patient.rates):
        gentler = 0.5 if index >= number else 1.0
        if index == number - 1:
            continue  # The optimisers' own states were rolled back after this round's steps.
        factors = (
            optimizer.lr * rate_factor(optimizer, index / total) * gentler
            for optimizer in (recipe.student, recipe.generator)
        )
        assert rates == pytest.approx(tuple(factors))
    assert not same(patient.states[-1], healthy)  # It went on.


def spoil(loop, rounds, choose):
    """Let `choose` pick the fresh images of the rounds from now on, for so many rounds."""
    draw, calls = loop.synthesizer.draw, []

    def spoilt(count, rng):
        calls.append(count)
        if len(calls) > rounds * loop.recipe.schedule.fresh_batches:
            return draw(count, rng)
        drawn = draw(20 * count, rng)
        return GeneratedBatch(choose(drawn.images)[:count])

    loop.synthesizer.draw = spoilt


def alike(images):
    return images[:1].expand_as(images).clone()


def of_one_class(images):
    answers = mnist_teacher()(images).argmax(1)
    chosen = images[answers == COMMON]
    return chosen[torch.arange(len(images)) % len(chosen)]
