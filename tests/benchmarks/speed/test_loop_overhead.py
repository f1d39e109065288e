"""The plain script that the training loop is timed against."""

import pytest
import torch

from benchmarks.speed import loop_overhead
from benchmarks.speed.loop_overhead import PlainTraining, build_loop
from dfkd.recipes.house import HOUSE

SMALL = HOUSE.overridden({"batch": 16, "memory": 128, "student_steps": 6})
"""The memory is full after two rounds."""


@pytest.mark.parametrize("teacher", ["lenet5", "lenet5-bn"])
@pytest.mark.parametrize("recipe", [SMALL, pytest.param(HOUSE, marks=pytest.mark.slow)])
def test_plain_script_and_loop_give_the_same_student(recipe, teacher, monkeypatch):
    """Otherwise the overhead would compare two different computations."""
    monkeypatch.setattr(loop_overhead, "HOUSE", recipe)
    rounds = 3
    loop, plain = build_loop(0, teacher, rounds), PlainTraining(0, teacher, rounds)
    loop.run()
    for _ in range(rounds):
        plain.one_round()
    for ours, theirs in zip(
        loop.student.state_dict().values(), plain.student.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)
