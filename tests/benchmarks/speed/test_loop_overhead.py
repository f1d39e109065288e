"""The plain script that the training loop is timed against."""

import pytest
import torch

from benchmarks.speed.loop_overhead import PlainTraining, build_loop


@pytest.mark.parametrize("teacher", ["lenet5", "lenet5-bn"])
def test_plain_script_and_loop_give_the_same_student(teacher):
    """Otherwise the overhead would compare two different computations."""
    rounds = 2
    loop, plain = build_loop(0, teacher, rounds), PlainTraining(0, teacher, rounds)
    loop.run()
    for _ in range(rounds):
        plain.one_round()
    for ours, theirs in zip(
        loop.student.state_dict().values(), plain.student.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)
