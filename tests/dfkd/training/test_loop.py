"""The training loop: counts, phases, resuming, and the effect of each part."""

import math
from dataclasses import replace

import pytest
import torch

from dfkd.composition import Term
from dfkd.recipe import RecipeError
from dfkd.recipes import RECIPES
from dfkd.recipes.held_out import HELD_OUT
from dfkd.terms import ADVERSARIES
from dfkd.training.budget import Plan, passes_per_round
from dfkd.training.loop import Loop, build_generator
from dfkd.training.round_report import SHARES
from tests.support.tiny import (
    CPU,
    MNIST,
    SMALL,
    every_number,
    make_loop,
    make_teacher,
    mnist_teacher,
    one_of_each_kind_quick,
    shrunk,
    through_a_file,
    weights,
)


def with_short_rounds(recipe):
    """The recipe with at most two batches and two student steps in a round."""
    small = shrunk(recipe)
    counts = {
        name: min(2, getattr(small.schedule, name)) for name in ("fresh_batches", "student_steps")
    }
    return replace(small, schedule=replace(small.schedule, **counts))


RESUMED = {
    **{
        name: with_short_rounds(RECIPES[name])
        for name in (
            "rdskd",  # exponential increments with a reference; a frozen generator
            "ta-dfkd",  # selection
            "zskt",  # attention, the same latents, clipping
            "dafl",  # the generator's own batch
            "mb-dfkd",  # bank, spectral norm
            "pre-dfkd",  # VAE
            "lra",  # meta update
            "mad",  # average generator, two sources, conditional
            "zskd",  # soft labels
            "adi",  # pixels
            "cmi",  # a generator for each batch, contrast with head and bank
            "fast-datafree",  # meta-learned generator, running batch-norm average
            "nayer",  # noisy layer
            "dfad-cifar10",  # steps in the learning rate
        )
    },
    "pool": SMALL,
    "averaged student": replace(SMALL, average=0.9),
}
STRETCH = 0.01
"""Scales renewals of generators and the bank's interval to a run of few rounds."""


def plan_for(recipe, warmup, rounds):
    """No warm-up for a recipe whose terms all need the student."""
    able = any(term.name not in ADVERSARIES for term in recipe.terms)
    return Plan(warmup if able else 0, rounds, STRETCH)


class KilledError(Exception):
    pass


def killed_after(loop, rounds):
    """The state of a process that was killed after some rounds."""
    seen = []

    def watch(now):
        seen.append(now)
        if len(seen) == rounds:
            raise KilledError

    with pytest.raises(KilledError):
        loop.run(watch)
    return through_a_file(loop.state_dict())


def test_loop_counts_rounds_and_phases():
    rounds = []
    run = make_loop(SMALL, Plan(2, 4))
    run.run(rounds.append)
    assert [(r.phase, r.number, r.total) for r in rounds] == [
        *(("warm-up", n, 2) for n in (1, 2)),
        *(("adversarial", n, 4) for n in (1, 2, 3, 4)),
    ]
    assert run.counts.student_steps == 4 * 3
    assert run.counts.images == 2 * 8 + 4 * (8 + 2 * 8)
    assert run.counts.teacher_passes == 2 * 3 * 8 + 4 * (3 * 8 + 2 * 8)
    assert "adversary" not in rounds[0].losses
    assert "adversary" in rounds[2].losses
    assert "student" not in rounds[0].losses
    assert sum(rounds[-1].histogram) == 4, "the half that is not blended"


def test_pool_holds_new_and_procedural_images_with_the_teachers_answers():
    recipe = SMALL.overridden({"procedural_batches": 3})
    loop = make_loop(recipe, Plan(0, 2))
    loop.run()

    pool = loop.memory
    assert pool.count == min(pool.capacity, 2 * (2 + 3) * 8)
    answers = loop._teacher.plain_pass(pool.images).logits
    torch.testing.assert_close(pool._logits[: pool.count], answers, atol=1e-2, rtol=1e-2)
    assert loop.counts.teacher_passes == cost_of(recipe, 2) + len(answers)
    assert loop.counts.images == 2 * (8 + 2 * 8), "procedural images are not the generator's"


def cost_of(recipe, rounds):
    return rounds * passes_per_round(recipe, warm=False)


def test_several_generator_steps_are_counted():
    recipe = SMALL.overridden({"generator_steps": 3})
    run = make_loop(recipe, Plan(0, 2))
    run.run()
    assert run.counts.images == 2 * (3 * 8 + 2 * 8)
    assert run.counts.teacher_passes == 2 * (3 * 3 * 8 + 2 * 8)


def test_pool_batch_takes_all_its_steps_and_counts_once():
    recipe = shrunk(RECIPES["nayer"], batch=8)  # three steps for each batch, two batches in a round
    run = make_loop(recipe, Plan(1, 1))
    run.run()
    assert run.counts.images == 3 * 8
    assert run.counts.teacher_passes == 3 * (3 * 3 * 8 + 8)


def test_two_views_count_as_one_image_and_two_passes():
    recipe = replace(SMALL, synthesizer=replace(SMALL.synthesizer, augment="two-views"))
    run = make_loop(recipe, Plan(0, 1))
    run.run()
    assert run.counts.images == 8 + 2 * 8
    assert run.counts.teacher_passes == 2 * (3 * 8 + 2 * 8)


def test_gradient_shares_are_measured_at_intervals_and_sum_to_one():
    rounds = []
    make_loop(SMALL, Plan(0, 2 * SHARES)).run(rounds.append)
    assert sum(rounds[0].shares.values()) == pytest.approx(1.0)
    assert rounds[0].shares.keys() == {term.name for term in SMALL.terms}
    assert [bool(r.shares) for r in rounds] == [True, False] * SHARES


def test_loop_trains_student_and_generator_but_not_the_teacher():
    teacher = make_teacher()
    run = make_loop(teacher=teacher)
    before = [weights(network) for network in (teacher, run.student, run.generator)]
    run.run()
    after = [weights(network) for network in (teacher, run.student, run.generator)]
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [True, False, False]
    assert all(p.grad is None for p in teacher.parameters())
    assert not any(module.training for module in teacher.modules())


@pytest.mark.parametrize("name", one_of_each_kind_quick(RESUMED))
def test_no_recipe_changes_the_teacher(name):
    teacher = make_teacher()
    before = weights(teacher)
    make_loop(RESUMED[name], plan_for(RESUMED[name], 1, 1), teacher=teacher).run()
    assert torch.equal(before, weights(teacher))
    assert not any(module.training for module in teacher.modules())


def test_warm_up_does_not_change_the_student():
    run = make_loop(SMALL, Plan(3, 0))
    before = weights(run.student), weights(run.generator)
    run.run()
    assert torch.equal(before[0], weights(run.student))
    assert not torch.equal(before[1], weights(run.generator))


def test_main_rounds_without_generator_steps_do_not_change_the_generator():
    run, seen = make_loop(RESUMED["rdskd"], Plan(2, 2)), []
    run.run(lambda _: seen.append(weights(run.generator)))
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[1], seen[3])


@pytest.mark.parametrize("name", one_of_each_kind_quick(RESUMED))
def test_seed_determines_the_student(name):
    plan = plan_for(RESUMED[name], 1, 1)
    runs = [make_loop(RESUMED[name], plan, seed=seed) for seed in (3, 3, 4)]
    students = []
    for run in runs:
        # Construction of the loop draws from the global random state.
        torch.manual_seed(run.rng.initial_seed())
        run.run()
        students.append(weights(run.student))
    assert torch.equal(students[0], students[1])
    assert not torch.equal(students[0], students[2])


@pytest.mark.parametrize("name", one_of_each_kind_quick(RESUMED))
def test_resumed_run_equals_an_uninterrupted_run(name):
    recipe, plan = RESUMED[name], plan_for(RESUMED[name], 1, 3)
    whole = make_loop(recipe, plan)
    whole.run()
    for stop_after in (1, plan.warmup_rounds + 2):
        state = killed_after(make_loop(recipe, plan), stop_after)
        torch.rand(7)  # Another process has another random state.
        resumed = make_loop(recipe, plan, seed=99)
        resumed.load_state_dict(state)
        resumed.run()
        assert torch.equal(weights(whole.student), weights(resumed.student)), stop_after
        assert torch.equal(weights(whole.delivered), weights(resumed.delivered)), stop_after
        assert vars(whole.counts) == vars(resumed.counts)
        ours, theirs = (every_number(run.state_dict()) for run in (whole, resumed))
        assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True)), stop_after


def test_resumed_run_restores_probe_roll_backs_and_healthy_state():
    """Long enough for a measurement; killed after a roll-back and before the next measurement."""
    recipe = SMALL.overridden({"batch": 32, "memory": 64, "student_steps": 1, "fresh_batches": 1})

    def new():
        return make_loop(recipe, Plan(0, 44), teacher=mnist_teacher(), spec=MNIST)

    def inject(run, now, number):
        if now.number == number:
            with torch.no_grad():
                run.student.fc.f7.bias.fill_(math.nan)

    whole, events = new(), []

    def watch(now):
        events.append(now.event)
        inject(whole, now, 25)
        inject(whole, now, 35)

    whole.run(watch)
    assert len([e for e in events if e]) == 2

    broken = new()

    def kill(now):
        inject(broken, now, 25)
        if now.number == 30:
            raise KilledError

    with pytest.raises(KilledError):
        broken.run(kill)
    resumed = new()
    resumed.load_state_dict(through_a_file(broken.state_dict()))
    resumed.run(lambda now: inject(resumed, now, 35))
    assert torch.equal(weights(whole.student), weights(resumed.student))
    assert vars(whole.counts) == vars(resumed.counts)
    assert whole.health.events == resumed.health.events
    assert resumed.health.rate == 0.25


def test_state_does_not_change_with_further_training():
    """A state saved through a file is the one at the time, whatever the loop does next."""
    run = make_loop(SMALL, Plan(0, 4))
    states = []
    run.run(lambda _: states.append(through_a_file(run.state_dict())))
    again = make_loop(SMALL, Plan(0, 4))
    again.load_state_dict(states[1])
    assert again.counts.student_steps == 2 * 3
    again.run()
    assert torch.equal(weights(run.student), weights(again.student))


def test_running_average_of_the_weights_is_delivered():
    run = make_loop(replace(SMALL, average=0.9), Plan(0, 1))
    after = []
    step = run._student_phase.optimizer.step
    values = run.student.fc.f7.bias

    def recorded(*args):
        step(*args)
        after.append(values.detach().clone())

    run._student_phase.optimizer.step = recorded
    run.run()
    # The first update copies the weights.
    expected = after[0]
    for value in after[1:]:
        expected = 0.9 * expected + 0.1 * value
    torch.testing.assert_close(run.delivered.fc.f7.bias, expected)
    assert run.delivered is not run.student


def test_student_is_delivered_without_a_running_average():
    run = make_loop()
    assert run.delivered is run.student


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_running_average_does_not_change_the_student(average):
    run = make_loop(replace(SMALL, average=average))
    run.run()
    other = make_loop()
    other.run()
    assert torch.equal(weights(run.student), weights(other.student))


def test_optional_term_is_dropped_for_a_teacher_without_batch_norm():
    run = make_loop(teacher="lenet5")
    rounds = []
    run.run(rounds.append)
    assert "batch-norm" not in {t.name for t in run.terms}
    assert "batch-norm" not in rounds[-1].losses
    assert "batch-norm" in {t.name for t in make_loop().terms}


@pytest.mark.parametrize(
    "name", ["batch-norm", "batch-norm-l2", "batch-norm-kl", "batch-norm-average"]
)
def test_required_term_refuses_a_teacher_without_batch_norm(name):
    strict = replace(SMALL, terms=(Term("certainty", 1.0), Term(name, 1.0)))
    with pytest.raises(RecipeError, match=f"needs batch norm .term {name}."):
        make_loop(strict, teacher="lenet5")


@pytest.mark.parametrize("name", ["batch-norm", "batch-norm-l2", "batch-norm-kl"])
def test_batch_norm_term_reduces_the_distance_of_statistics(name):
    recipe = replace(SMALL, terms=(Term(name, 1.0),)).overridden({"generator_lr": 0.01})
    rounds = []
    make_loop(recipe, Plan(60, 0)).run(rounds.append)
    assert rounds[-1].losses[name] < 0.8 * rounds[0].losses[name]


def test_adversary_increases_the_students_error():
    """Without a student in the loss the generator's course does not depend on the student."""

    def course(recipe, scale):
        run = make_loop(recipe, Plan(0, 1))
        with torch.no_grad():
            run.student.fc.f7.weight.mul_(scale)
        run.run()
        return weights(run.generator)

    blind = SMALL.overridden({"adversary": 0})
    assert torch.equal(course(blind, 1.0), course(blind, 3.0))
    assert not torch.equal(course(SMALL, 1.0), course(SMALL, 3.0))


@pytest.mark.parametrize(
    "name",
    [
        "adversary",
        pytest.param("adversary-l1", marks=pytest.mark.slow),
        pytest.param("adversary-js", marks=pytest.mark.slow),
    ],
)
def test_adversary_increases_the_distance_to_a_fixed_student(name):
    recipe = replace(
        SMALL,
        terms=(Term(name, 1.0, options={"clamp": 0.0} if name == "adversary-js" else {}),),
    ).overridden({"student_lr": 0.0, "student_steps": 1, "fresh_batches": 1})
    teacher = make_teacher(sharpness=30.0)

    def last(rate):
        """The mean of the last rounds; without batch norm, whose statistics follow the images."""
        changed, rounds = recipe.overridden({"generator_lr": rate}), []
        make_loop(changed, Plan(0, 30), teacher=teacher, student="lenet5-half").run(rounds.append)
        return sum(r.losses[name] for r in rounds[-5:])

    # Compared on the same latents with an untrained generator.
    assert last(0.01) < last(0.0)


def test_student_is_trained_in_train_mode_and_evaluated_in_eval_mode():
    """Its batch norms count the passes that taught it, and no other."""
    run = make_loop(SMALL, Plan(0, 2))
    run.run()
    assert run.student.convnet.bn1.num_batches_tracked == 2 * 3


def test_parameter_with_its_own_rate_uses_it():
    """A step of Adam's is as long as its rate, the first one exactly."""
    recipe = replace(SMALL, schedule=replace(SMALL.schedule, fresh_batches=1, student_steps=1))
    usual_rate = recipe.student.lr
    rates = {"convnet.c1.weight": 10 * usual_rate, "fc.f7.bias": 0.0}
    plain, rated = make_loop(recipe, Plan(0, 1)), make_loop(recipe, Plan(0, 1), rates=rates)
    before = {name: p.detach().clone() for name, p in rated.student.named_parameters()}
    plain.run()
    rated.run()
    as_usual = dict(plain.student.named_parameters())
    for name, parameter in rated.student.named_parameters():
        step, usual = parameter - before[name], as_usual[name] - before[name]
        assert usual.abs().max() > 0
        torch.testing.assert_close(
            step, usual * (rates.get(name, usual_rate) / usual_rate), rtol=1e-4, atol=1e-7
        )


def test_own_rates_follow_the_policy_and_survive_a_checkpoint():
    rates = {"convnet.c1.weight": 10 * SMALL.student.lr}
    whole = make_loop(plan=Plan(1, 4), rates=rates)
    whole.run()
    first, states = make_loop(plan=Plan(1, 4), rates=rates), []
    first.run(lambda _: states.append(through_a_file(first.state_dict())))
    again = make_loop(plan=Plan(1, 4), rates=rates)
    again.load_state_dict(states[2])
    again.run()
    assert torch.equal(weights(again.student), weights(whole.student))
    groups = again._student_phase.optimizer.param_groups
    assert [round(group["lr"] / groups[0]["lr"], 6) for group in groups] == [1, 0.1]


def test_generator_step_does_not_change_the_student():
    """Neither gradients nor batch-norm statistics of the student change."""
    run = make_loop(SMALL, Plan(0, 1))
    before = weights(run.student)
    run._generator_phase.run(adversarial=True)
    assert torch.equal(before, weights(run.student))
    assert all(p.grad is None for p in run.student.parameters())


def test_conditional_generator_learns_its_labels():
    recipe = HELD_OUT.overridden({"batch": 32, "width": 8})
    rounds = []
    torch.manual_seed(0)
    loop = Loop(
        recipe,
        teacher=mnist_teacher(),
        generator=build_generator(recipe, MNIST, 10),
        student=None,
        spec=MNIST,
        classes=10,
        plan=Plan(80, 5),
        seed=0,
        device=CPU,
    )
    loop.run(rounds.append)
    assert len(rounds) == 80  # Without a student only the warm-up is run.
    assert rounds[-1].losses["label-certainty"] < 0.7 * rounds[0].losses["label-certainty"]
    labels = torch.arange(10).repeat(20)
    with torch.no_grad():
        drawn = loop.generator(torch.randn(200, loop.generator.latent), labels)
        answers = loop._teacher.network(drawn).argmax(1)
    assert (answers == labels).float().mean() > 0.2  # By chance it would be a tenth.


@pytest.mark.parametrize(
    "name", ["house", "dafl", "lra", "mad", "cmi", "nayer", "adi", "ta-dfkd", "zskt"]
)
def test_half_precision_gives_finite_losses_and_float_weights(name):
    recipe, rounds = with_short_rounds(RECIPES[name]), []
    run = make_loop(recipe, plan_for(recipe, 1, 1), precision=torch.bfloat16)
    run.run(rounds.append)
    assert all(math.isfinite(v) for r in rounds for v in r.losses.values())
    assert all(r.event is None for r in rounds)
    assert {p.dtype for p in run.student.parameters()} == {torch.float32}
    other = make_loop(recipe, plan_for(recipe, 1, 1))
    other.run()
    assert not torch.equal(weights(run.student), weights(other.student))


@pytest.mark.parametrize("name", ["house", pytest.param("fast-datafree", marks=pytest.mark.slow)])
def test_half_precision_measures_agreement(name):
    recipe = shrunk(RECIPES[name], batch=32, fresh_batches=1, student_steps=1)
    run = make_loop(recipe, Plan(0, 21), precision=torch.bfloat16, teacher=make_teacher())
    measurements = []
    run.run(lambda now: measurements.append(now.agreement))
    assert run.health.probe is not None
    assert measurements[19] is not None
