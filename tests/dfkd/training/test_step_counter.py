import pytest

from dfkd.composition import Composition, KeptGenerator, PixelOptimization, Schedule
from dfkd.training.step_counter import StepCounter


def reports(recipe, warm, number, total, steps):
    found = []
    counter = StepCounter(recipe, lambda *report: found.append(report))
    counter.begin(warm, number, total)
    for _ in range(steps):
        counter.after_step()
    return found


def test_share_of_a_round_counts_generator_and_student_steps():
    recipe = Composition(terms=(), schedule=Schedule(generator_steps=1, student_steps=3))
    assert reports(recipe, False, 2, 9, 4) == [
        ("adversarial", 2.0, 9),
        ("adversarial", 2.25, 9),
        ("adversarial", 2.5, 9),
        ("adversarial", 2.75, 9),
    ]


@pytest.mark.parametrize(
    ("synthesizer", "expected"),
    [(KeptGenerator(), [0.0]), (PixelOptimization(steps=2), [0.0, 0.5])],
)
def test_warm_up_round_has_the_steps_of_one_batch(synthesizer, expected):
    recipe = Composition(terms=(), synthesizer=synthesizer, schedule=Schedule(student_steps=8))
    found = reports(recipe, True, 0, 5, synthesizer.steps)
    assert found == [("warm-up", done, 5) for done in expected]
