"""A loop with injected faults whose rounds are recorded, for the tests of health checks."""

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

RECIPE = shrunk(HOUSE, batch=32, student_steps=1, fresh_batches=1)
NON_ADVERSARIAL = replace(RECIPE, terms=RECIPE.terms[:2])
"""Without an adversary, a faulty student does not affect the generator first."""
COMMON = 4
"""A class that the generator draws in every round."""


def mnist_loop(recipe=RECIPE, rounds=60, student="lenet5-half"):
    loop = make_loop(recipe, Plan(0, rounds), teacher=mnist_teacher(), student=student, spec=MNIST)
    # As in a long run, so that the state of a roll-back is known.
    loop._measure_every = MAX_INTERVAL
    return loop


def trained_student():
    """A student that equals the teacher."""
    student = copy.deepcopy(mnist_teacher())
    return student.requires_grad_(True)


class ObservedRun:
    """A run with an injected fault.

    Attributes:
        rounds: The loop's reports.
        healthy: Weights of (student, generator) at the last measurement.
        rates: Learning rates of (student, generator) in each round.
        states: Weights of (student, generator) after each round.
    """

    def __init__(self, loop, faulty_after=(), inject=lambda loop: None):
        self.loop, self.faulty_after, self.inject = loop, faulty_after, inject
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
        if now.number in self.faulty_after:
            self.inject(self.loop)

    @property
    def events(self):
        return {r.number: r.event for r in self.rounds if r.event}


def same(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def nan_in_the_student(loop):
    with torch.no_grad():
        next(loop.student.parameters()).fill_(math.nan)


def assert_rolled_back(observed, number, words, healthy):
    """One event in one round, the healthy state, and half the learning rates afterwards."""
    assert list(observed.events) == [number]
    event = observed.events[number]
    assert words in event
    assert event == f"round {number}: {event.split(': ', 1)[1]}"
    assert event.endswith("rolled back, learning rates times 0.5")
    assert observed.loop.health.events == [event]
    assert same(observed.states[number - 1], healthy)
    recipe, total = observed.loop.recipe, observed.rounds[-1].total
    for index, rates in enumerate(observed.rates):
        reduced = 0.5 if index >= number else 1.0
        if index == number - 1:
            continue  # The optimizers' states were rolled back after the steps of this round.
        factors = (
            optimizer.lr * rate_factor(optimizer, index / total) * reduced
            for optimizer in (recipe.student, recipe.generator)
        )
        assert rates == pytest.approx(tuple(factors))
    assert not same(observed.states[-1], healthy)  # The run continued.


def replace_images(loop, rounds, choose):
    """Let `choose` pick the new images of the next `rounds` rounds."""
    draw, calls = loop.synthesizer.draw, []

    def replaced(count, rng):
        calls.append(count)
        if len(calls) > rounds * loop.recipe.schedule.fresh_batches:
            return draw(count, rng)
        drawn = draw(20 * count, rng)
        return GeneratedBatch(choose(drawn.images)[:count])

    loop.synthesizer.draw = replaced


def equal_images(images):
    return images[:1].expand_as(images).clone()


def of_one_class(images):
    predictions = mnist_teacher()(images).argmax(1)
    chosen = images[predictions == COMMON]
    return chosen[torch.arange(len(images)) % len(chosen)]
