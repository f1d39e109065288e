"""The rounds of the held-out generators, from the run file alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.gate_plan import (
    MAX_ROUNDS,
    MIN_ROUNDS,
    gate_passes,
    gate_rounds,
    rest_passes,
)
from pipeline.config.run_file import parse_run, read_run_file
from pipeline.steps import probe
from tests.pipeline.config.test_batch_limit import config
from tests.support.quick_run import EXAMPLE, QUICK, ROOT

PRESENT = [EXAMPLE / "run.yaml", *sorted((ROOT / "benchmarks" / "runs").glob("*.yaml"))]
"""The run files of the chain table."""

METHODS = ("adversarial", "frozen", "fresh", "generator-images", "batch-norm-images", "noise")


def same(side, method, **gate):
    return config(side, student="same", quantize={"method": method}, gate=gate)


@pytest.mark.parametrize("path", PRESENT, ids=lambda path: path.name)
def test_present_run_files_keep_400_rounds_of_64_images_at_full_size(path):
    config = read_run_file(path)
    explicit = config.model_copy(update={"gate": config.gate.model_copy(update={"rounds": 400})})
    settings = probe.STEP.settings(config, "")
    assert settings == probe.STEP.settings(explicit, "")
    assert settings["gate"] == {"images": 2_000, "generators": 2, "rounds": 400}
    assert settings["recipe"]["schedule"]["batch"] == 64
    assert settings["recipe"]["synthesizer"]["network"]["reduction"] == 1


@pytest.mark.parametrize(
    ("method", "side", "rounds"),
    [
        ("adversarial", 32, 400),
        ("frozen", 32, 400),
        ("generator-images", 32, 137),
        ("noise", 32, MIN_ROUNDS),
        ("adversarial", 224, 400),
        ("frozen", 224, 373),
        ("batch-norm-images", 224, 400),
        ("noise", 224, MIN_ROUNDS),
    ],
)
def test_rounds_of_a_teacher_that_is_only_quantized(method, side, rounds):
    assert gate_rounds(same(side, method)) == rounds


def test_passes_by_hand():
    large = same(224, "generator-images")
    # 300 rounds of 10 images, forward and backward, then 1,024 calibration images.
    assert rest_passes(large) == 300 * 3 * 10 + 1_024
    # Two generators; every probe is answered by the teacher and two compiled models.
    assert gate_passes(large, 7) == 2 * 7 * 3 * 10 + 3 * 2_000
    # Another student counts nothing: 400 rounds of one generator step and four fresh batches.
    other = config(224, quantize={"method": "noise"})
    assert rest_passes(other) == 400 * (3 * 10 + 4 * 10)
    assert gate_passes(other, 0) == 2_000


def test_rounds_of_the_run_file_are_used():
    assert gate_rounds(same(224, "noise", rounds=2)) == 2
    assert gate_rounds(same(32, "adversarial", rounds=900)) == 900


@settings(deadline=None, max_examples=50)
@given(
    st.sampled_from(METHODS),
    st.integers(16, 512),
    st.booleans(),
    st.integers(1, 8),
    st.integers(0, 20_000),
)
def test_verdict_costs_at_most_the_rest_or_has_the_fewest_rounds(
    method, side, is_same, generators, steps
):
    def chosen(steps):
        student = "same" if is_same else QUICK["student"]
        quantize = {"method": method, "budget": {"steps": steps}}
        distill = {"budget": {"steps": steps}}
        return config(
            side,
            student=student,
            distill=distill,
            quantize=quantize,
            gate={"generators": generators},
        )

    few, more = chosen(steps), chosen(2 * steps)
    rounds = gate_rounds(few)
    assert MIN_ROUNDS <= rounds <= MAX_ROUNDS
    assert rounds == MIN_ROUNDS or gate_passes(few, rounds) <= rest_passes(few)
    assert rounds == MAX_ROUNDS or gate_passes(few, rounds + 1) > rest_passes(few)
    assert gate_rounds(more) >= rounds


def test_rounds_do_not_depend_on_name_device_or_target():
    document = {name: QUICK[name] for name in ("name", "teacher", "input", "student")}
    quantize = {"method": "generator-images"}
    first = parse_run({**document, "quantize": quantize}, "run.yaml")
    changes = {"name": "other", "device": "cpu", "targets": ["arm"]}
    assert gate_rounds(first) == gate_rounds(first.model_copy(update=changes))
