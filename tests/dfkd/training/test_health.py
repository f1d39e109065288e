"""Health checks by hand, and on healthy runs."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dfkd.recipes import RECIPES
from dfkd.training.budget import Plan
from dfkd.training.health import (
    PROBE_LIFE,
    WINDOW,
    Health,
)
from dfkd.training.round_statistics import RoundStatistics, effective_classes, pairwise_spread
from tests.support.faulty_run import (
    NON_ADVERSARIAL,
    RECIPE,
    ObservedRun,
    mnist_loop,
)
from tests.support.tiny import (
    MNIST,
    make_loop,
    make_teacher,
    mnist_teacher,
    shrunk,
    weights,
)


def test_healthy_run_has_no_events():
    observed = ObservedRun(mnist_loop(RECIPE, 100)).run()
    assert observed.events == {}
    assert observed.loop.health.rate == 1.0
    agreements = [r.agreement for r in observed.rounds if r.agreement is not None]
    assert len(agreements) == 5
    assert agreements[-1] > agreements[0]


def test_learning_from_a_complete_pool_has_no_events():
    """Rounds in which nothing is made show no image, which is no collapse."""
    recipe = shrunk(RECIPES["zskd"], batch=32)
    loop = make_loop(
        recipe, Plan(15, 30), teacher=mnist_teacher(), student="lenet5-half", spec=MNIST
    )
    loop.run()
    assert loop.health.events == []


SLOW_METHODS = ("mad", "dfad", "zskt", "rdskd")


# A random teacher predicts one class for every image, so a trained one is needed.
@pytest.mark.parametrize(
    "name", ["dafl", *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW_METHODS)]
)
def test_first_rounds_of_published_methods_have_no_events(name):
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


def test_probe_is_collected_over_rounds_and_frozen_at_a_measurement():
    loop, probes = mnist_loop(NON_ADVERSARIAL, 24), []
    loop.run(lambda _: probes.append(loop.health.probe))
    assert probes[18] is None
    full = probes[19]
    assert all(probe is full for probe in probes[19:])
    images, answers = full
    assert len(images) == len(answers) == 256
    assert torch.equal(mnist_teacher()(images).argmax(1), answers)


def test_probe_of_large_images_is_small_and_passes_in_parts():
    health, sizes = Health(), []

    def student(images):
        sizes.append(len(images))
        return torch.zeros(len(images), 10)

    for _ in range(20):
        health.collect(torch.zeros(4, 3, 224, 224), torch.zeros(4, 10))
    network = nn.Module()
    network.forward = student
    assert health.agreement(network) == 1.0
    assert len(health.probe[0]) == 2**23 // (3 * 224 * 224) == 55
    assert sizes == [13, 13, 13, 13, 3]


def test_probe_is_replaced_after_its_life():
    """A student may forget what an untrained generator drew."""
    health, student = Health(), make_teacher()

    def gather(value):
        for _ in range(WINDOW):
            health.collect(torch.full((32, 1, 28, 28), value), torch.zeros(32, 10))

    gather(0.0)
    for look in range(PROBE_LIFE):
        health.agreement(student)
        assert health.probe[0].mean() == 0.0, look
        gather(1.0)
    health.best_agreement = 0.9
    health.agreement(student)
    assert health.probe[0].mean() == 1.0
    assert health.best_agreement == 0.0


def test_measuring_agreement_does_not_change_the_student():
    loop = make_loop(RECIPE, Plan(0, 1))
    health = Health()
    assert health.agreement(loop.student) is None
    teacher = make_teacher()
    for seed in range(12):
        torch.manual_seed(seed)
        images = torch.randn(32, 1, 28, 28)
        health.collect(images, teacher(images))
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
def test_effective_classes_are_between_one_and_the_number_that_occur(histogram):
    occurring = sum(count > 0 for count in histogram)
    assert 1 - 1e-9 <= effective_classes(histogram) <= occurring + 1e-9
    assert effective_classes([3 * count for count in histogram]) == pytest.approx(
        effective_classes(histogram)
    )


@settings(deadline=None)
@given(st.integers(2, 7), st.integers(1, 3), st.integers(1, 4), st.integers(0, 100))
def test_pairwise_spread_agrees_with_a_loop_over_ordered_pairs(count, channels, side, seed):
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


HEALTHY = RoundStatistics([3, 3], 1.0, {"student": 1.0}, {"student": 1.0})


def test_non_finite_values_are_faults_at_once():
    for who in ("generator", "student"):
        for bad in (math.nan, math.inf):
            health = Health()
            loss = health.fault(replace(HEALTHY, losses={who: bad}))
            gradient = health.fault(replace(HEALTHY, gradients={who: bad}))
            assert loss == f"the {who}'s loss is {bad}"
            assert gradient == f"the {who}'s gradient is {bad}"


@pytest.mark.parametrize(("factor", "found"), [(900.0, False), (1100.0, True)])
def test_gradient_above_a_thousand_times_the_usual_is_a_fault(factor, found):
    health = Health()
    assert not any(health.fault(HEALTHY) for _ in range(WINDOW))
    fault = health.fault(replace(HEALTHY, gradients={"student": factor}))
    assert (fault is not None) == found


def test_large_gradient_without_history_is_no_fault():
    health = Health()
    assert not any(health.fault(HEALTHY) for _ in range(WINDOW - 1))
    assert health.fault(replace(HEALTHY, gradients={"student": 1e9})) is None


@pytest.mark.parametrize(("spread", "found"), [(0.06, False), (0.04, True)])
def test_spread_below_a_twentieth_of_the_usual_is_a_fault(spread, found):
    health = Health()
    for _ in range(50):
        health.fault(HEALTHY)
    faults = [health.fault(replace(HEALTHY, spread=spread)) for _ in range(WINDOW)]
    assert faults[: WINDOW - 1] == [None] * (WINDOW - 1)
    assert (faults[-1] is not None) == found


@pytest.mark.parametrize(("histogram", "found"), [([99, 1], True), ([90, 10], False)])
def test_one_class_in_a_window_of_rounds_is_a_fault(histogram, found):
    health = Health()
    faults = [health.fault(replace(HEALTHY, histogram=histogram)) for _ in range(WINDOW)]
    assert faults[: WINDOW - 1] == [None] * (WINDOW - 1)
    assert (faults[-1] is not None) == found


def test_one_class_in_turn_for_each_round_is_no_fault():
    health = Health()
    turns = [[6, 0], [0, 6]] * WINDOW
    assert not any(health.fault(replace(HEALTHY, histogram=turn)) for turn in turns)


@pytest.mark.parametrize(("agreement", "found"), [(0.55, False), (0.45, True)])
def test_agreement_is_compared_with_the_best_so_far(agreement, found):
    health = Health()
    assert health.agreement_fault(0.8) is None
    assert health.agreement_fault(0.7) is None
    assert health.agreement_fault(agreement) is None
    assert health.doubtful == found
    assert (health.agreement_fault(agreement) is not None) == found
    assert health.agreement_fault(None) is None


def test_good_measurement_clears_the_previous_doubt():
    health = Health()
    assert [health.agreement_fault(share) for share in (0.9, 0.2, 0.9)] == [None] * 3
    assert not health.doubtful


def test_roll_back_empties_the_window():
    health = Health()
    for _ in range(WINDOW - 1):
        health.fault(replace(HEALTHY, histogram=[9, 0]))
    assert health.rolled_back("something", "round 9")
    faults = [health.fault(replace(HEALTHY, histogram=[9, 0])) for _ in range(WINDOW)]
    assert faults[: WINDOW - 1] == [None] * (WINDOW - 1)
    assert faults[-1] is not None


def test_round_without_images_is_ignored_for_collapse():
    health = Health()
    for _ in range(2 * WINDOW):
        assert health.fault(HEALTHY) is None
    nothing = replace(HEALTHY, histogram=[0, 0], spread=None)
    assert not any(health.fault(nothing) for _ in range(2 * WINDOW))
    assert not health.suspect


@pytest.mark.parametrize("collapsed", [{"spread": 0.04}, {"histogram": [6, 0]}])
def test_first_round_of_a_collapse_is_suspect(collapsed):
    health = Health()
    for _ in range(5):
        health.fault(HEALTHY)
    assert not health.suspect
    assert health.fault(replace(HEALTHY, **collapsed)) is None
    assert health.suspect
    health.fault(HEALTHY)
    assert not health.suspect
