"""Faults put into real runs: found, named, rolled back from, and given up on in the end."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dfkd.budget import Plan
from dfkd.health import (
    LIFE,
    LONGEST,
    RETRIES,
    WINDOW,
    Health,
    Vitals,
    effective_classes,
    pairwise_spread,
)
from dfkd.loop import DivergedError
from dfkd.optimizers import rate_factor
from dfkd.recipes import HOUSE, RECIPES
from dfkd.synthesizers import Draft
from tests.dfkd.tiny import (
    MNIST,
    every_number,
    make_loop,
    make_teacher,
    mnist_teacher,
    shrunk,
    weights,
)

RECIPE = shrunk(HOUSE, batch=32, student_steps=2, fresh_batches=2)
BLIND = replace(RECIPE, terms=RECIPE.terms[:2])
"""Without an adversary the generator does not feel a sick student first."""
COMMON = 4
"""A class that the generator draws in every round, so that there are images of it to choose."""


def on_mnist(recipe=RECIPE, rounds=60, student="lenet5-half"):
    loop = make_loop(recipe, Plan(0, rounds), teacher=mnist_teacher(), student=student, spec=MNIST)
    # As in a long run, so that it is known which state is returned to.
    loop._look_every = LONGEST
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
                for optimizer in (self.loop._learning.optimizer, self.loop.synthesizer.optimizer)
            )
        )
        self.states.append(self.state())
        if now.event is None and now.number % LONGEST == 0:
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


def test_nan_in_the_student_is_rolled_back():
    patient = Patient(on_mnist(BLIND, 30), {24}, nan_in_the_student)
    patient.run()
    assert_rolled_back(patient, 25, "the student's loss is nan", patient.healthy)
    assert all(torch.isfinite(part).all() for part in patient.states[-1])


def test_nan_in_the_student_shows_in_the_generators_loss_first_when_it_asks_the_student():
    patient = Patient(on_mnist(RECIPE, 30), {24}, nan_in_the_student).run()
    assert_rolled_back(patient, 25, "the generator's loss is nan", patient.healthy)


def test_a_fault_before_the_first_look_leads_back_to_the_beginning():
    loop = on_mnist(BLIND, 6)
    start = weights(loop.student), weights(loop.generator)
    patient = Patient(loop, {3}, nan_in_the_student).run()
    assert_rolled_back(patient, 4, "nan", start)


def test_a_fault_in_the_warm_up_is_rolled_back_too():
    loop = make_loop(RECIPE, Plan(6, 2), teacher=mnist_teacher(), student="lenet5-half", spec=MNIST)
    loop._look_every = LONGEST
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


def test_an_exploding_gradient_of_the_student_is_rolled_back():
    def swell(loop):
        with torch.no_grad():
            loop.student.fc.f7.weight.mul_(1e6)

    patient = Patient(on_mnist(BLIND, 30), {24}, swell).run()
    assert_rolled_back(patient, 25, "divergence: the student's gradient is", patient.healthy)


def test_an_exploding_gradient_of_the_generator_is_rolled_back():
    def swell(loop):
        with torch.no_grad():
            loop.student.fc.f7.weight.mul_(1e6)

    patient = Patient(on_mnist(RECIPE, 30), {24}, swell).run()
    assert_rolled_back(patient, 25, "divergence: the generator's gradient is", patient.healthy)


def test_a_student_that_forgets_in_two_looks_in_a_row_is_rolled_back_behind_the_first():
    def scramble(loop):
        with torch.no_grad():
            layer = loop.student.fc.f7
            layer.weight.copy_(layer.weight.roll(1, 0))
            layer.bias.copy_(layer.bias.roll(1, 0))

    patient = Patient(on_mnist(BLIND, 65, knowing()), {39, 59}, scramble)
    patient.run()
    agreements = {r.number: r.agreement for r in patient.rounds if r.agreement is not None}
    assert list(agreements) == [20, 40, 60]
    assert agreements[20] > 0.8
    assert agreements[40] < agreements[20] - 0.3
    assert_rolled_back(patient, 60, "agreement on the frozen probe fell from", patient.states[19])


def test_one_bad_look_is_no_divergence():
    def scramble(loop):
        with torch.no_grad():
            loop.student.fc.f7.weight.copy_(loop.student.fc.f7.weight.roll(1, 0))

    patient = Patient(on_mnist(BLIND, 45, knowing()), {39}, scramble).run()
    assert patient.events == {}


def spoil(loop, rounds, choose):
    """Let `choose` pick the fresh images of the rounds from now on, for so many rounds."""
    fresh, calls = loop.synthesizer.fresh, []

    def spoilt(count, rng):
        calls.append(count)
        if len(calls) > rounds * loop.recipe.schedule.fresh_batches:
            return fresh(count, rng)
        drawn = fresh(20 * count, rng)
        return Draft(choose(drawn.images)[:count])

    loop.synthesizer.fresh = spoilt


def alike(images):
    return images[:1].expand_as(images).clone()


def of_one_class(images):
    answers = mnist_teacher()(images).argmax(1)
    chosen = images[answers == COMMON]
    return chosen[torch.arange(len(images)) % len(chosen)]


def test_a_generator_that_draws_one_image_only_is_rolled_back_after_a_window_of_rounds():
    patient = Patient(on_mnist(RECIPE, 40), {25}, lambda loop: spoil(loop, WINDOW, alike)).run()
    assert_rolled_back(patient, 25 + WINDOW, "mode collapse: all images alike", patient.states[19])
    assert patient.rounds[30].spread == 0.0


def test_a_generator_that_draws_one_class_only_is_rolled_back_after_a_window_of_rounds():
    patient = Patient(
        on_mnist(RECIPE, 40), {25}, lambda loop: spoil(loop, 2 * WINDOW, of_one_class)
    ).run()
    number = next(iter(patient.events))
    # A few images of other classes may lie in the window before.
    assert 25 + WINDOW - 1 <= number <= 25 + WINDOW
    assert patient.rounds[30].spread > 0.3
    assert_rolled_back(patient, number, "mode collapse: one class", patient.states[19])


def test_a_roll_back_leads_behind_the_first_round_of_a_collapse():
    """A look inside the window does not take the first collapsed rounds for healthy ones."""
    loop = on_mnist(RECIPE, 30)
    start = weights(loop.student), weights(loop.generator)
    patient = Patient(loop, {15}, lambda loop: spoil(loop, WINDOW, alike)).run()
    assert list(patient.events) == [25]
    assert not same(patient.states[24], patient.states[19])
    assert same(patient.states[24], start)


@pytest.mark.parametrize("choose", [alike, of_one_class])
def test_a_short_spell_of_bad_luck_is_no_collapse(choose):
    patient = Patient(on_mnist(RECIPE, 40), {25}, lambda loop: spoil(loop, WINDOW - 2, choose))
    assert patient.run().events == {}


def test_gives_up_after_the_last_retry_in_the_last_healthy_state():
    loop = on_mnist(BLIND, 40)
    patient = Patient(loop, range(21, 40), nan_in_the_student)
    with pytest.raises(DivergedError, match=f"round 25: .*given up after {RETRIES} roll-backs"):
        patient.run()
    assert same(patient.state(), patient.healthy)
    assert len(loop.health.events) == RETRIES + 1
    # The rates were halved at each retry.
    endings = [event.rsplit(" ", 1)[1] for event in loop.health.events[:RETRIES]]
    assert endings == ["0.5", "0.25", "0.125"]
    assert [r.number for r in patient.rounds if r.event] == [22, 23, 24]


def test_a_roll_back_restores_optimisers_and_drops_what_the_pool_took_since():
    loop = on_mnist(BLIND, 25)
    moments, counts = [], []

    def watch(now):
        state = loop._learning.optimizer.state_dict()["state"]
        moments.append(state[0]["exp_avg"].clone())
        counts.append(loop.memory.count)
        if now.number == 22:
            nan_in_the_student(loop)

    loop.run(watch)
    assert torch.equal(moments[22], moments[19])
    assert not torch.equal(moments[21], moments[19])
    capacity, fresh = loop.memory.capacity, BLIND.schedule.batch * BLIND.schedule.fresh_batches
    # Of round 23 nothing is remembered: it broke off in the student's phase, after the drawing.
    assert counts[22] == max(0, min(capacity, counts[19] + 3 * fresh) - 3 * fresh)


def test_the_snapshot_survives_the_training_after_it():
    """Two roll-backs to one snapshot are to the same state, moments of the optimisers included."""
    loop, states = on_mnist(BLIND, 30), []

    def watch(now):
        parts = (loop._learning.state_dict(), loop.synthesizer.state_dict())
        states.append([number.clone() for number in every_number(parts)])
        if now.number in (22, 26):
            nan_in_the_student(loop)

    loop.run(watch)
    assert [event.split(":")[0] for event in loop.health.events] == ["round 23", "round 27"]
    assert same(states[22], states[19])
    assert same(states[26], states[19])
    assert not same(states[25], states[19])


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_images_that_are_no_numbers_are_not_remembered(factor):
    """Otherwise they would come back from the pool after every roll-back."""
    loop = on_mnist(BLIND, 40)

    def explode(loop):
        draw = loop.synthesizer.fresh
        calls = []

        def exploded(count, rng):
            calls.append(count)
            draft = draw(count, rng)
            return Draft(draft.images * factor) if len(calls) == 2 else draft

        loop.synthesizer.fresh = exploded

    patient = Patient(loop, {30}, explode).run()
    assert list(patient.events) == [31]
    assert "the generator's loss is" in patient.events[31]
    assert torch.isfinite(loop.memory.state_dict()["images"]).all()


def test_a_memory_that_learns_is_rolled_back_with_the_networks():
    loop = make_loop(shrunk(RECIPES["mad"]), Plan(0, 4))
    loop._look_every = LONGEST
    start, twins = weights(loop.memory.twin), []

    def watch(now):
        twins.append(weights(loop.memory.twin))
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
def test_whatever_else_learns_is_gentler_after_a_roll_back_too(name, optimizer):
    loop, rates = make_loop(shrunk(RECIPES[name]), Plan(0, 4)), []

    def watch(now):
        rates.append(optimizer(loop).param_groups[0]["lr"])
        if now.number == 2:
            nan_in_the_student(loop)

    loop.run(watch)
    assert len(loop.health.events) == 1
    assert rates[3] == pytest.approx(0.5 * rates[1])


def test_the_average_generator_follows_the_generator_through_its_warm_up():
    loop = make_loop(shrunk(RECIPES["mad"]), Plan(3, 1))
    twins = []
    loop.run(lambda _: twins.append(weights(loop.memory.twin)))
    assert not torch.equal(twins[0], twins[1])
    assert not torch.equal(twins[1], twins[2])


def test_the_running_average_of_the_student_is_rolled_back():
    loop = on_mnist(replace(BLIND, average=0.9), 6)
    patient = Patient(loop, {3}, nan_in_the_student).run()
    assert list(patient.events) == [4]
    assert torch.isfinite(weights(loop.delivered)).all()


def test_quiet_on_a_healthy_run():
    patient = Patient(on_mnist(RECIPE, 60)).run()
    assert patient.events == {}
    assert patient.loop.health.rate == 1.0
    agreements = [r.agreement for r in patient.rounds if r.agreement is not None]
    assert len(agreements) == 3
    assert agreements[-1] > agreements[0]


def test_quiet_while_a_student_learns_from_a_pool_that_is_complete():
    """Rounds in which nothing is made show no image, which is no collapse."""
    recipe = shrunk(RECIPES["zskd"], batch=32)
    loop = make_loop(
        recipe, Plan(15, 30), teacher=mnist_teacher(), student="lenet5-half", spec=MNIST
    )
    loop.run()
    assert loop.health.events == []


# A random teacher answers with one class whatever it sees, so only trained ones are asked.
@pytest.mark.parametrize("name", ["dafl", "dfad", "zskt", "rdskd", "mad"])
def test_quiet_on_the_first_rounds_of_published_methods(name):
    recipe = shrunk(RECIPES[name], batch=32)
    warmup = 12 if recipe.schedule.warmup_rounds else 0
    objective = replace(recipe.objective, attention=0.0)
    loop = make_loop(
        replace(recipe, objective=objective),
        Plan(warmup, 25, 0.01),
        teacher=mnist_teacher(),
        student="lenet5-half",
        spec=MNIST,
    )
    loop.run()
    assert loop.health.events == []


def test_the_probe_is_gathered_over_rounds_and_frozen_at_a_look():
    loop, probes = on_mnist(BLIND, 24), []
    loop.run(lambda _: probes.append(loop.health.probe))
    assert probes[18] is None
    full = probes[19]
    assert all(probe is full for probe in probes[19:])
    images, answers = full
    assert len(images) == len(answers) == 256
    assert torch.equal(mnist_teacher()(images).argmax(1), answers)


def test_the_probe_is_frozen_anew_after_its_life():
    """A student may forget what an untrained generator drew."""
    health, student = Health(), make_teacher()

    def gather(value):
        for _ in range(WINDOW):
            health.gather(torch.full((32, 1, 28, 28), value), torch.zeros(32, 10))

    gather(0.0)
    for look in range(LIFE):
        health.agreement(student)
        assert health.probe[0].mean() == 0.0, look
        gather(1.0)
    health.best_agreement = 0.9
    health.agreement(student)
    assert health.probe[0].mean() == 1.0
    assert health.best_agreement == 0.0


def test_looking_at_the_probe_leaves_the_student_as_it_was():
    loop = make_loop(RECIPE, Plan(0, 1))
    health = Health()
    assert health.agreement(loop.student) is None
    teacher = make_teacher()
    for seed in range(12):
        torch.manual_seed(seed)
        images = torch.randn(32, 1, 28, 28)
        health.gather(images, teacher(images))
    before = weights(loop.student.train())
    share = health.agreement(loop.student)
    assert torch.equal(before, weights(loop.student))
    right = loop.student(health.probe[0]).argmax(1) == health.probe[1]
    assert share == pytest.approx(right.float().mean().item())
    assert health.agreement(teacher) == 1.0


@pytest.mark.parametrize(
    ("histogram", "expected"),
    [
        ([5, 5], 2.0),
        ([0, 9, 0], 1.0),
        ([1] * 10, 10.0),
        ([1, 3], math.exp(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))),
        ([2, 0, 2, 0, 2], 3.0),
    ],
)
def test_effective_classes_by_hand(histogram, expected):
    assert effective_classes(histogram) == pytest.approx(expected)


@settings(deadline=None)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=12).filter(any))
def test_effective_classes_lie_between_one_and_those_that_occur(histogram):
    occurring = sum(count > 0 for count in histogram)
    assert 1 - 1e-9 <= effective_classes(histogram) <= occurring + 1e-9
    assert effective_classes([3 * count for count in histogram]) == pytest.approx(
        effective_classes(histogram)
    )


@settings(deadline=None)
@given(st.integers(2, 7), st.integers(1, 3), st.integers(1, 4), st.integers(0, 100))
def test_pairwise_spread_is_that_over_all_ordered_pairs(count, channels, side, seed):
    images = torch.randn(count, channels, side, side, generator=torch.Generator().manual_seed(seed))
    squares = [
        (images[i] - images[j]).square().mean().item()
        for i in range(count)
        for j in range(count)
        if i != j
    ]
    expected = math.sqrt(sum(squares) / len(squares))
    assert pairwise_spread(images) == pytest.approx(expected, rel=1e-4)


def test_pairwise_spread_of_equal_images_and_of_one_image_is_zero():
    assert pairwise_spread(torch.ones(4, 1, 3, 3)) == 0.0
    assert pairwise_spread(torch.randn(1, 1, 3, 3)) == 0.0


HEALTHY = Vitals([3, 3], 1.0, {"student": 1.0}, {"student": 1.0})


def test_faults_that_show_at_once():
    for who in ("generator", "student"):
        for bad in (math.nan, math.inf):
            health = Health()
            loss = health.fault(replace(HEALTHY, losses={who: bad}))
            gradient = health.fault(replace(HEALTHY, gradients={who: bad}))
            assert loss == f"the {who}'s loss is {bad}"
            assert gradient == f"the {who}'s gradient is {bad}"


@pytest.mark.parametrize(("factor", "found"), [(900.0, False), (1100.0, True)])
def test_a_gradient_is_too_large_beyond_a_thousand_times_the_usual(factor, found):
    health = Health()
    assert not any(health.fault(HEALTHY) for _ in range(WINDOW))
    fault = health.fault(replace(HEALTHY, gradients={"student": factor}))
    assert (fault is not None) == found


def test_no_gradient_is_unusual_before_there_is_a_usual_one():
    health = Health()
    assert not any(health.fault(HEALTHY) for _ in range(WINDOW - 1))
    assert health.fault(replace(HEALTHY, gradients={"student": 1e9})) is None


@pytest.mark.parametrize(("spread", "found"), [(0.06, False), (0.04, True)])
def test_images_are_alike_below_a_twentieth_of_the_usual_spread(spread, found):
    health = Health()
    for _ in range(50):
        health.fault(HEALTHY)
    faults = [health.fault(replace(HEALTHY, spread=spread)) for _ in range(WINDOW)]
    assert faults[: WINDOW - 1] == [None] * (WINDOW - 1)
    assert (faults[-1] is not None) == found


@pytest.mark.parametrize(("histogram", "found"), [([99, 1], True), ([90, 10], False)])
def test_one_class_is_found_over_a_window_of_rounds(histogram, found):
    health = Health()
    faults = [health.fault(replace(HEALTHY, histogram=histogram)) for _ in range(WINDOW)]
    assert faults[: WINDOW - 1] == [None] * (WINDOW - 1)
    assert (faults[-1] is not None) == found


def test_rounds_that_each_show_one_class_in_turn_are_no_collapse():
    health = Health()
    turns = [[6, 0], [0, 6]] * WINDOW
    assert not any(health.fault(replace(HEALTHY, histogram=turn)) for turn in turns)


@pytest.mark.parametrize(("agreement", "found"), [(0.55, False), (0.45, True)])
def test_an_agreement_is_compared_with_the_best_so_far(agreement, found):
    health = Health()
    assert health.forgotten(0.8) is None
    assert health.forgotten(0.7) is None
    assert health.forgotten(agreement) is None
    assert (health.forgotten(agreement) is not None) == found
    assert health.forgotten(None) is None


def test_after_a_roll_back_a_window_starts_anew():
    health = Health()
    for _ in range(WINDOW - 1):
        health.fault(replace(HEALTHY, histogram=[9, 0]))
    assert health.rolled_back("something", 9)
    faults = [health.fault(replace(HEALTHY, histogram=[9, 0])) for _ in range(WINDOW)]
    assert faults[: WINDOW - 1] == [None] * (WINDOW - 1)
    assert faults[-1] is not None


def test_a_round_without_images_tells_nothing_of_a_collapse():
    health = Health()
    for _ in range(2 * WINDOW):
        assert health.fault(HEALTHY) is None
    nothing = replace(HEALTHY, histogram=[0, 0], spread=None)
    assert not any(health.fault(nothing) for _ in range(2 * WINDOW))
    assert not health.suspect


@pytest.mark.parametrize("sick", [{"spread": 0.04}, {"histogram": [6, 0]}])
def test_the_first_round_of_a_collapse_is_suspect_and_a_healthy_one_is_not(sick):
    health = Health()
    for _ in range(5):
        health.fault(HEALTHY)
    assert not health.suspect
    assert health.fault(replace(HEALTHY, **sick)) is None
    assert health.suspect
    health.fault(HEALTHY)
    assert not health.suspect
