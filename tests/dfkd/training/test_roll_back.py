"""What a roll-back restores, how often it is tried, and the learning rates after it."""

import math
from dataclasses import replace

import pytest
import torch

from dfkd.recipes import RECIPES
from dfkd.synthesizers import GeneratedBatch
from dfkd.training.budget import Plan
from dfkd.training.health import (
    MAX_INTERVAL,
    RETRIES,
)
from dfkd.training.loop import DivergedError
from tests.support.faulty_run import (
    NON_ADVERSARIAL,
    ObservedRun,
    mnist_loop,
    nan_in_the_student,
    same,
)
from tests.support.tiny import (
    every_number,
    make_loop,
    shrunk,
    weights,
)


def test_run_fails_after_the_last_roll_back_in_its_last_healthy_state():
    loop = mnist_loop(NON_ADVERSARIAL, 40)
    observed = ObservedRun(loop, range(21, 40), nan_in_the_student)
    with pytest.raises(DivergedError, match=f"round 25: .*given up after {RETRIES} roll-backs"):
        observed.run()
    assert same(observed.state(), observed.healthy)
    assert len(loop.health.events) == RETRIES + 1
    # The rates were halved at each retry.
    endings = [event.rsplit(" ", 1)[1] for event in loop.health.events[:RETRIES]]
    assert endings == ["0.5", "0.25", "0.125"]
    assert [r.number for r in observed.rounds if r.event] == [22, 23, 24]


def test_roll_back_restores_optimizers_and_drops_newer_pool_images():
    loop = mnist_loop(NON_ADVERSARIAL, 25)
    moments, counts = [], []

    def watch(now):
        state = loop._student_phase.optimizer.state_dict()["state"]
        moments.append(state[0]["exp_avg"].clone())
        counts.append(loop.memory.count)
        if now.number == 22:
            nan_in_the_student(loop)

    loop.run(watch)
    assert torch.equal(moments[22], moments[19])
    assert not torch.equal(moments[21], moments[19])
    capacity, fresh = (
        loop.memory.capacity,
        NON_ADVERSARIAL.schedule.batch * NON_ADVERSARIAL.schedule.fresh_batches,
    )
    # No image of round 23 is stored: it failed in the student's phase.
    assert counts[22] == max(0, min(capacity, counts[19] + 3 * fresh) - 3 * fresh)


def test_snapshot_does_not_change_with_further_training():
    """Two roll-backs to one snapshot are to the same state, moments of the optimisers included."""
    loop, states = mnist_loop(NON_ADVERSARIAL, 30), []

    def watch(now):
        parts = (loop._student_phase.state_dict(), loop.synthesizer.state_dict())
        states.append([number.clone() for number in every_number(parts)])
        if now.number in (22, 26):
            nan_in_the_student(loop)

    loop.run(watch)
    assert [event.split(":")[0] for event in loop.health.events] == ["round 23", "round 27"]
    assert same(states[22], states[19])
    assert same(states[26], states[19])
    assert not same(states[25], states[19])


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_non_finite_images_are_not_stored(factor):
    """Otherwise they would come back from the pool after every roll-back."""
    loop = mnist_loop(NON_ADVERSARIAL, 40)

    def explode(loop):
        draw = loop.synthesizer.draw
        calls = []

        def exploded(count, rng):
            calls.append(count)
            batch = draw(count, rng)
            return GeneratedBatch(batch.images * factor) if len(calls) == 1 else batch

        loop.synthesizer.draw = exploded

    observed = ObservedRun(loop, {30}, explode).run()
    assert list(observed.events) == [31]
    assert "the generator's loss is" in observed.events[31]
    assert torch.isfinite(loop.memory.state_dict()["images"]).all()


def test_learning_memory_is_rolled_back():
    loop = make_loop(shrunk(RECIPES["mad"]), Plan(0, 4))
    loop._measure_every = MAX_INTERVAL
    start, twins = weights(loop.memory.average), []

    def watch(now):
        twins.append(weights(loop.memory.average))
        if now.number == 2:
            nan_in_the_student(loop)

    loop.run(watch)
    assert torch.equal(twins[2], start)
    assert not torch.equal(twins[1], start)


def of_the_vae(loop):
    return loop.memory.optimizer


def of_the_contrast_head(loop):
    return next(w for w in loop.weighting.wrapped if w.term.name == "contrast").compute.optimizer


@pytest.mark.parametrize(
    ("name", "optimizer"), [("pre-dfkd", of_the_vae), ("cmi", of_the_contrast_head)]
)
def test_roll_back_reduces_all_other_learning_rates(name, optimizer):
    loop, rates = make_loop(shrunk(RECIPES[name]), Plan(0, 4)), []

    def watch(now):
        rates.append(optimizer(loop).param_groups[0]["lr"])
        if now.number == 2:
            nan_in_the_student(loop)

    loop.run(watch)
    assert len(loop.health.events) == 1
    assert rates[3] == pytest.approx(0.5 * rates[1])


def test_average_generator_is_updated_in_the_warm_up():
    loop = make_loop(shrunk(RECIPES["mad"]), Plan(3, 1))
    twins = []
    loop.run(lambda _: twins.append(weights(loop.memory.average)))
    assert not torch.equal(twins[0], twins[1])
    assert not torch.equal(twins[1], twins[2])


def test_running_average_of_the_student_is_rolled_back():
    loop = mnist_loop(replace(NON_ADVERSARIAL, average=0.9), 6)
    observed = ObservedRun(loop, {3}, nan_in_the_student).run()
    assert list(observed.events) == [4]
    assert torch.isfinite(weights(loop.delivered)).all()
