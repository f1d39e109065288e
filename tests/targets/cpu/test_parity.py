"""Comparing the logits of exported and compiled graphs."""

import copy

import numpy as np
import pytest

from targets.cpu.parity import CLEAR_MARGIN, ParityError, compare


def logits(margin, count=100):
    """Return logits of two classes whose first is larger by `margin`."""
    found = np.zeros((count, 2), np.float32)
    found[:, 0] = margin
    return found


def test_equal_logits_hold_at_tolerance_zero():
    parity = compare(logits(0.0), logits(0.0), 0.0)
    assert parity.holds
    assert (parity.same, parity.distance) == (1.0, 0.0)


def test_near_ties_may_change_their_answer():
    parity = compare(logits(0.01), logits(-0.01), 0.1)
    assert (parity.same, parity.clear) == (0.0, 0.0)
    assert parity.holds


@pytest.mark.parametrize(("flipped", "holds"), [(0, True), (1, False)])
def test_clear_answers_must_be_equal(flipped, holds):
    expected = logits(CLEAR_MARGIN * 0.1 + 0.01)
    actual = expected.copy()
    actual[:flipped] = actual[:flipped, ::-1]
    parity = compare(expected, actual, 0.1)
    assert parity.distance <= 0.1
    assert parity.holds is holds


def test_distance_is_the_root_mean_square_of_the_difference():
    parity = compare(logits(1.0), logits(1.3), 0.2)
    assert parity.distance == pytest.approx(0.3 / 2**0.5)
    assert not parity.holds


def test_logits_that_are_not_finite_never_hold():
    assert not compare(logits(1.0), logits(np.nan), 1.0).holds


def test_error_is_the_same_after_copying():
    """A copy is rebuilt from `args`, as when Prefect sends an error to another process."""
    error = copy.copy(ParityError("compile: differs", "fp32"))
    assert (str(error), error.precision) == ("compile: differs", "fp32")
