"""The plan of the held-out generators' training, from the run file alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.gate_plan import (
    MAX_SMALL_ROUNDS,
    MIN_SMALL_ROUNDS,
    SMALL_BATCH,
    GatePlan,
    gate_passes,
    gate_plan,
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


def rounds_and_batch(chosen):
    plan = gate_plan(chosen)
    return plan.rounds, plan.recipe.schedule.batch


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
    ("side", "method", "rounds", "batch"),
    [
        (28, "adversarial", 400, 64),
        (32, "adversarial", 400, 64),
        (32, "fresh", 400, 64),
        (32, "frozen", 400, 64),
        (32, "batch-norm-images", 1_600, 8),
        (32, "generator-images", 1_160, 8),
        (32, "noise", MIN_SMALL_ROUNDS, 8),
        (96, "adversarial", 1_600, 8),
        (224, "adversarial", 303, 8),
        (224, "fresh", 303, 8),
        (224, "frozen", 263, 8),
        (224, "batch-norm-images", 1_600, 8),
        (224, "generator-images", 110, 8),
        (224, "noise", MIN_SMALL_ROUNDS, 8),
    ],
)
def test_plan_for_a_teacher_that_is_only_quantized(side, method, rounds, batch):
    assert rounds_and_batch(same(side, method)) == (rounds, batch)


@pytest.mark.parametrize(
    ("side", "plan"), [(28, (400, 64)), (32, (400, 64)), (64, (400, 64)), (96, (1_600, 8))]
)
@pytest.mark.parametrize("method", METHODS)
def test_plan_for_another_student_with_the_default_budget(side, plan, method):
    assert rounds_and_batch(config(side, quantize={"method": method})) == plan


def test_passes_by_hand():
    large = same(224, "generator-images")
    # 300 rounds of 8 images, forward and backward, then 1,024 calibration images.
    assert rest_passes(large) == 300 * 3 * 8 + 4 * 1_024
    # Two generators; every probe is answered by the teacher and two compiled models.
    plan = GatePlan(7, gate_plan(large).recipe)
    assert gate_passes(large, plan) == 2 * 7 * 3 * 8 + 3 * 2_000
    # 400 rounds of one generator step and four fresh batches. The student's passes count a fifth:
    # 40 steps on 4 replayed images, four with 4 new ones, and the generator step.
    other = config(224, quantize={"method": "noise"})
    student = 400 * 3 * (40 * 4 + 4 * 4 + 4)
    assert rest_passes(other) == 400 * (3 * 4 + 4 * 4) + student // 5 + 1_024 // 5
    assert gate_passes(other, plan) == 2 * 7 * 3 * 8 + 2_000 + 4_000 // 5


def test_rounds_of_the_run_file_are_used_with_the_limited_batch():
    assert rounds_and_batch(same(224, "noise", rounds=2)) == (2, 8)
    assert rounds_and_batch(same(32, "noise", rounds=900)) == (900, 64)


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
        return config(
            side,
            student="same" if is_same else QUICK["student"],
            distill={"budget": {"steps": steps}},
            quantize={"method": method, "budget": {"steps": steps}},
            gate={"generators": generators},
        )

    few, plan, more = chosen(steps), gate_plan(chosen(steps)), gate_plan(chosen(2 * steps))
    assert plan.rounds <= MAX_SMALL_ROUNDS
    assert plan.rounds >= MIN_SMALL_ROUNDS
    cheap = gate_passes(few, plan) <= rest_passes(few)
    small = plan.recipe.schedule.batch <= SMALL_BATCH
    assert cheap or (small and plan.rounds == MIN_SMALL_ROUNDS)
    if small and MIN_SMALL_ROUNDS < plan.rounds < MAX_SMALL_ROUNDS:
        assert gate_passes(few, GatePlan(plan.rounds + 1, plan.recipe)) > rest_passes(few)
    assert gate_passes(few, more) >= gate_passes(few, plan)


def test_plan_does_not_depend_on_name_device_or_target():
    document = {name: QUICK[name] for name in ("name", "teacher", "input", "student")}
    first = parse_run({**document, "quantize": {"method": "generator-images"}}, "run.yaml")
    changes = {"name": "other", "device": "cpu", "targets": ["arm"]}
    assert gate_plan(first) == gate_plan(first.model_copy(update=changes))
