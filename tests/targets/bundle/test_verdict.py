"""The verdict: Wilson's interval, outcomes and statistics."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from targets.bundle.golden import Golden
from targets.bundle.verdict import Outcome, judge, wilson


def golden(count=2000, classes=10):
    labels = np.arange(count) % classes
    return Golden(
        pixels=np.random.default_rng(0).integers(0, 256, (count, 1, 8, 8), np.uint8),
        mean=np.array([0.5], np.float32),
        std=np.array([0.25], np.float32),
        value_range=np.array([0, 1], np.float32),
        teacher_logits=8 * np.eye(classes, dtype=np.float32)[labels],
        generator=np.arange(count) % 2,
        asked=labels,
    )


def test_wilson_matches_published_values():
    # Newcombe 1998, table I, method 3: 81/263 and 15/148 at 95 %.
    assert wilson(81, 263, 0.95) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148, 0.95) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(0, 20, 0.95) == pytest.approx((0.0, 0.1611), abs=1e-4)


@given(st.integers(1, 5000), st.data())
def test_wilson_contains_the_share_and_is_symmetric(images, data):
    agreed = data.draw(st.integers(0, images))
    low, high = wilson(agreed, images, 0.95)
    assert 0 <= low <= agreed / images <= high <= 1
    mirrored = wilson(images - agreed, images, 0.95)
    assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-9)


@pytest.mark.parametrize(
    ("agreeing", "outcome", "code"),
    [
        (2000, Outcome.PASS, 0),
        (1850, Outcome.PASS, 0),
        (1801, Outcome.INCONCLUSIVE, 3),
        (1750, Outcome.FAIL, 2),
        (200, Outcome.FAIL, 2),
    ],
)
def test_outcome_depends_on_interval_and_threshold(agreeing, outcome, code):
    probes = golden()
    logits = probes.teacher_logits.copy()
    logits[agreeing:] = np.roll(logits[agreeing:], 1, axis=1)
    verdict = judge(probes, logits, threshold=0.9, confidence=0.95)
    assert verdict.outcome is outcome
    assert verdict.outcome.exit_code == code
    assert verdict.agreed == agreeing


def test_constant_and_permuted_predictions_fail():
    probes = golden()
    constant = np.zeros_like(probes.teacher_logits)
    constant[:, 3] = 1
    permuted = np.roll(probes.teacher_logits, 1, axis=1)
    for logits, agreed in ((constant, 200), (permuted, 0)):
        verdict = judge(probes, logits, 0.9, 0.95)
        assert verdict.outcome is Outcome.FAIL
        assert verdict.agreed == agreed


def test_single_nan_fails():
    probes = golden()
    logits = probes.teacher_logits.copy()
    logits[7] = np.nan
    assert judge(probes, logits, 0.9, 0.95).outcome is Outcome.FAIL


def test_verdict_reports_teacher_confidence_and_class_counts():
    verdict = judge(golden(), golden().teacher_logits, 0.9, 0.95)
    assert verdict.teacher_histogram == [200] * 10
    assert verdict.teacher_confidence == pytest.approx(np.exp(8) / (np.exp(8) + 9), abs=1e-6)
    assert verdict.per_generator == [1.0, 1.0]
    assert verdict.per_class == [1.0] * 10
