"""What to try after each verdict."""

import pytest

from pipeline.bundle.next_step import next_step
from pipeline.bundle.summary import summary_rows
from targets.bundle.verdict import wilson
from tests.support.quick_run import QUICK

RUN = {
    "student": QUICK["student"],
    "distill": {"budget": {"steps": 40, "images": None}},
    "quantize": {"method": "adversarial", "budget": {"steps": 10, "images": None}},
}


def manifest(outcome, agreement=0.5, fp32="fail", threshold=0.9, images=2000, faults=(), **run):
    return {
        "verdict": {
            **{"target": "local-cpu", "outcome": outcome, "agreement": agreement},
            **{"images": images, "confidence": 0.95, "threshold": threshold},
            "probes": {"faults": list(faults)},
        },
        "targets": {
            "local-cpu": {"fp32": {"agreement": 1.0 if fp32 == "pass" else 0.75, "outcome": fp32}}
        },
        "run": {**RUN, **run},
    }


@pytest.mark.parametrize(
    ("found", "parts"),
    [
        (manifest("fail"), ["75.00 %, so distillation", "distill.budget (now steps: 40)"]),
        (manifest("fail", fp32="inconclusive"), ["distillation is the cause"]),
        (manifest("fail", student="same"), ["although it is the teacher", "input.mean"]),
        (
            manifest("fail", fp32="pass"),
            ["so quantization is the cause", "quantize.budget (now steps: 10)"],
        ),
        (
            manifest("fail", fp32="pass", quantize={"method": "noise", "budget": {"steps": 10}}),
            ["set quantize.method: adversarial"],
        ),
    ],
)
def test_failed_verdict_names_the_cause_and_the_keys_to_change(found, parts):
    assert all(part in next_step(found) for part in parts)


def test_probes_that_cannot_test_a_student_point_to_the_input():
    for outcome in ("inconclusive", "fail"):
        advice = next_step(manifest(outcome, 1.0, faults=["one of 2000 images is distinct"]))
        assert "one of 2000 images is distinct: check input.mean" in advice


@pytest.mark.parametrize(("agreement", "threshold"), [(0.905, 0.9), (0.893, 0.9), (0.985, 0.98)])
def test_inconclusive_verdict_names_enough_images(agreement, threshold):
    advice = next_step(manifest("inconclusive", agreement, threshold=threshold))
    images = int(advice.split("to about ")[1].split(",")[0])
    low, high = wilson(round(agreement * images), images, 0.95)
    assert not low < threshold < high
    low, high = wilson(round(agreement * 2000), 2000, 0.95)
    assert low < threshold < high


def test_agreement_at_the_threshold_needs_something_else_than_images():
    advice = next_step(manifest("inconclusive", 0.9, threshold=0.9))
    assert "gate.images" not in advice
    assert "gate.agreement" in advice


def test_pass_and_run_without_verdict_need_nothing():
    assert next_step(manifest("pass", 0.99)) == ""
    assert next_step({"verdict": None}) == ""


def test_summary_has_the_next_step_after_the_verdict(same_bundle, tmp_path):
    from pipeline.bundle.opening import open_bundle

    found = open_bundle(same_bundle)
    labels = [label for label, _ in summary_rows(found, tmp_path)]
    assert "next" not in labels
    found["verdict"]["outcome"] = "fail"
    labels = [label for label, _ in summary_rows(found, tmp_path)]
    assert labels[labels.index("verdict") + 1] == "next"
