"""Which probes can test a student."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.bundle.probe_quality import probe_quality, required_classes
from targets.bundle.verdict import Outcome, judge
from tests.targets.bundle.test_verdict import golden


def probes_of_classes(shares, classes=10, count=2000):
    """Random images; class i is predicted for shares[i] of them."""
    labels = np.repeat(np.arange(len(shares)), np.round(np.array(shares) * count).astype(int))
    logits = np.eye(classes, dtype=np.float32)[labels]
    return dataclasses.replace(golden(count, classes), teacher_logits=logits)


def test_random_images_of_all_classes_are_usable():
    found = probe_quality(golden(), 0.9)
    assert (found.distinct, found.answered_classes, found.commonest) == (2000, 10, 0.1)
    assert found.faults == ()


def test_spread_is_the_deviation_of_a_pixel_across_the_images():
    pixels = np.zeros((2000, 1, 1, 2), np.uint8)
    pixels[::2, 0, 0, 0] = 20  # One pixel is 0 or 20, the other always 0.
    found = probe_quality(dataclasses.replace(golden(), pixels=pixels), 0.9)
    assert found.spread == pytest.approx(np.sqrt((10**2 + 0) / 2))
    assert found.distinct == 2


@pytest.mark.parametrize(("copies", "usable"), [(200, True), (202, False), (2000, False)], ids=str)
def test_copies_are_counted(copies, usable):
    """The copied image counts as one."""
    probes = golden()
    probes.pixels[:copies] = probes.pixels[0]
    found = probe_quality(probes, 0.9)
    assert found.distinct == 2001 - copies
    assert any("are distinct" in fault for fault in found.faults) != usable


def test_almost_identical_images_are_not_usable():
    pixels = np.random.default_rng(0).integers(126, 130, (2000, 1, 8, 8), np.uint8)
    (fault,) = probe_quality(dataclasses.replace(golden(), pixels=pixels), 0.9).faults
    assert fault == "the images differ by 1.1 of 255 levels (required: 4)"


@pytest.mark.parametrize(
    ("shares", "fault"),
    [
        ([0.2] * 5, None),
        ([0.25] * 4, "the teacher predicts 4 of 10 classes (required: 5)"),
        ([0.89, *[0.0275] * 4], None),
        ([0.9, *[0.025] * 4], "the teacher predicts one class for 90.0 % of the images"),
    ],
)
def test_teacher_must_predict_half_of_the_classes_and_none_too_often(shares, fault):
    faults = probe_quality(probes_of_classes(shares), 0.9).faults
    assert (not faults) if fault is None else faults[0].startswith(fault)


@pytest.mark.parametrize(
    ("classes", "count", "required"),
    [(2, 2000, 2), (3, 2000, 2), (10, 2000, 5), (1000, 2000, 50), (1000, 323, 8), (10, 20, 2)],
)
def test_required_classes_are_limited_by_the_number_of_probes(classes, count, required):
    assert required_classes(classes, count) == required


@given(st.integers(2, 2000), st.integers(200, 5000))
def test_random_predictions_always_have_enough_classes(classes, count):
    predicted = np.unique(np.random.default_rng(0).integers(0, classes, count))
    assert len(predicted) >= required_classes(classes, count)


def test_teacher_without_finite_logits_is_a_fault():
    probes = golden()
    probes.teacher_logits[3, 2] = np.nan
    assert probe_quality(probes, 0.9).faults == ("the teacher's logits are not finite",)


def test_unusable_probes_never_pass_but_can_fail():
    probes = probes_of_classes([0.25] * 4)
    verdict = judge(probes, probes.teacher_logits, 0.9, 0.95)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.outcome.exit_code == 3
    assert verdict.because == (
        "the probes cannot test a student: the teacher predicts 4 of 10 classes (required: 5)"
    )
    assert verdict.as_json()["probes"]["answered_classes"] == 4
    wrong = np.roll(probes.teacher_logits, 1, axis=1)
    assert judge(probes, wrong, 0.9, 0.95).outcome is Outcome.FAIL
