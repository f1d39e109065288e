import io
from dataclasses import replace

import pytest
import torch

from dfkd.images import ImageSpec
from dfkd.loop import DivergedError, Loop, build_generator, usable_terms
from dfkd.models import build
from dfkd.recipe import RecipeError, Schedule, Term
from dfkd.recipes import HELD_OUT, HOUSE

SPEC = ImageSpec((1, 28, 28), (0.1307,), (0.3081,))
SMALL = replace(
    HOUSE,
    latent=8,
    width=4,
    memory=64,
    schedule=Schedule(batch=8, fresh_batches=2, student_steps=3, warmup_rounds=2),
)


def loop(recipe=SMALL, teacher="lenet5", steps=12, seed=3):
    torch.manual_seed(0)
    networks = {
        "teacher": build(teacher, SPEC, 10).eval().requires_grad_(False),
        "student": build("lenet5-half-bn", SPEC, 10),
        "generator": build_generator(recipe, SPEC, 10),
    }
    return Loop(
        recipe,
        **networks,
        classes=10,
        student_steps=steps,
        seed=seed,
        device=torch.device("cpu"),
    )


def weights(network):
    return torch.cat([value.double().flatten() for value in network.state_dict().values()])


def test_counts_rounds_and_phases():
    rounds = []
    run = loop(steps=10)  # rounded up to 4 rounds of 3
    run.run(rounds.append)
    assert [(r.phase, r.number, r.total) for r in rounds[:3]] == [
        ("warm-up", 1, 2),
        ("warm-up", 2, 2),
        ("adversarial", 1, 4),
    ]
    assert run.counts.student_steps == 12
    assert run.counts.images == 2 * 8 + 4 * (8 + 2 * 8)
    assert run.counts.teacher_passes == 2 * 3 * 8 + 4 * (3 * 8 + 2 * 8)
    assert "adversary" not in rounds[0].losses
    assert "adversary" in rounds[2].losses
    assert sum(rounds[-1].histogram) == 8


def test_teaches_student_and_generator_and_leaves_the_teacher_alone():
    run = loop()
    before = {n: weights(getattr(run, n)) for n in ("teacher", "student", "generator")}
    run.run()
    after = {n: weights(getattr(run, n)) for n in before}
    assert torch.equal(before["teacher"], after["teacher"])
    assert not torch.equal(before["student"], after["student"])
    assert not torch.equal(before["generator"], after["generator"])


def test_warm_up_leaves_the_student_alone():
    run = loop(steps=0)
    before = weights(run.student)
    run.run()
    assert torch.equal(before, weights(run.student))


def test_same_seed_same_student_and_another_seed_another():
    runs = [loop(seed=seed) for seed in (3, 3, 4)]
    for run in runs:
        run.run()
    first, second, third = (weights(run.student) for run in runs)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_killed_and_resumed_is_the_same_bit_for_bit(stop_after):
    whole = loop()
    whole.run()

    class KilledError(Exception):
        pass

    file, broken = io.BytesIO(), loop()

    def kill(now):
        kill.rounds += 1
        if kill.rounds == stop_after:
            torch.save(broken.state_dict(), file)
            raise KilledError

    kill.rounds = 0
    with pytest.raises(KilledError):
        broken.run(kill)
    file.seek(0)
    torch.rand(7)  # another process has another history
    resumed = loop(seed=99)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    resumed.run()
    assert torch.equal(weights(whole.student), weights(resumed.student))
    assert torch.equal(weights(whole.generator), weights(resumed.generator))
    assert vars(whole.counts) == vars(resumed.counts)


def test_a_term_that_may_be_left_out_is_left_out_for_a_teacher_without_batch_norm():
    assert "batch-norm" not in {t.name for t in loop().terms}
    assert "batch-norm" in {t.name for t in loop(teacher="lenet5-bn").terms}


def test_a_term_that_may_not_be_left_out_refuses_such_a_teacher():
    strict = replace(SMALL, terms=(Term("batch-norm", 1.0),))
    with pytest.raises(RecipeError, match="needs batch norm"):
        usable_terms(strict, build("lenet5", SPEC, 10))


def test_the_batch_norm_term_alone_brings_statistics_closer():
    recipe = replace(SMALL, terms=(Term("batch-norm", 1.0),)).overridden(
        {"warmup_rounds": 120, "generator_lr": 0.01}
    )
    run, rounds = loop(recipe, teacher="lenet5-bn", steps=0), []
    run.run(rounds.append)
    assert rounds[-1].losses["batch-norm"] < 0.8 * rounds[0].losses["batch-norm"]


def test_a_loss_that_is_not_finite_stops_the_run():
    run = loop()
    with torch.no_grad():
        run.student.fc.f7.bias.fill_(float("nan"))
    with pytest.raises(DivergedError, match="loss is nan"):
        run.run()


def test_the_adversary_drives_the_generator_against_the_student():
    """Without a student in the loss the generator's course does not depend on the student."""

    def course(recipe, scale):
        run = loop(recipe, steps=3)
        with torch.no_grad():
            run.student.fc.f7.weight.mul_(scale)
        run.run()
        return weights(run.generator)

    blind = SMALL.overridden({"adversary": 0})
    assert torch.equal(course(blind, 1.0), course(blind, 3.0))
    assert not torch.equal(course(SMALL, 1.0), course(SMALL, 3.0))


def test_a_conditional_generator_learns_the_classes_it_is_asked_for():
    recipe = HELD_OUT.overridden({"warmup_rounds": 30, "batch": 32, "width": 8})
    torch.manual_seed(0)
    teacher = build("lenet5", SPEC, 10).eval().requires_grad_(False)
    with torch.no_grad():
        teacher.fc.f7.weight.mul_(30)  # a teacher that is sure of itself
    rounds = []
    Loop(
        recipe,
        teacher=teacher,
        generator=build_generator(recipe, SPEC, 10),
        student=None,
        classes=10,
        student_steps=0,
        seed=0,
        device=torch.device("cpu"),
    ).run(rounds.append)
    assert rounds[-1].losses["label-certainty"] < rounds[0].losses["label-certainty"]
