"""Measured rows of the MNIST table stay valid."""

from dataclasses import dataclass, replace

from benchmarks.mnist import __main__ as mnist
from benchmarks.mnist import jobs as mnist_jobs
from benchmarks.mnist.jobs import Job, all_jobs, digest_rules
from dfkd import composition
from tests.benchmarks.mnist.old_recipe import former_values, used_values
from tests.benchmarks.old_rows import figures_digest, read_old, restore_defaults

OLD = read_old("mnist")

NEVER_MEASURED = {
    *(f"rdskd_paper_{teacher}_{seed}" for teacher in ("lenet5", "lenet5-bn") for seed in (1, 2)),
    *(f"rdskd_paper_{name}_0" for name in ("outside-lenet5", "smoothed", "mixup", "fashion")),
    *(f"rdskd_paper_{name}_0" for name in ("resnet20", "wrn-16-1")),
    *(f"zskt_paper_lenet5_{seed}" for seed in (0, 1, 2)),
    *(f"zskt_paper_lenet5-bn_{seed}" for seed in (1, 2)),
}
"""Rows that were missing before the digests changed: they take too long."""


def invalid_rows():
    known = {job.key: job for job in all_jobs()}
    return [row["key"] for row in mnist.read_rows() if row["digest"] != known[row["key"]].digest()]


def test_every_measured_row_is_valid():
    assert invalid_rows() == []
    assert {job.key for job in mnist.missing(mnist.read_rows())} <= NEVER_MEASURED


def test_figures_are_those_measured_before_the_digests_changed():
    rows = {row["key"]: row for row in mnist.read_rows()}
    assert {key: figures_digest(row) for key, row in rows.items() if key in OLD} == {
        key: row["figures"] for key, row in OLD.items()
    }


def test_jobs_have_the_values_of_the_old_digests():
    known = {job.key: job for job in all_jobs()}
    for key, row in OLD.items():
        covered = digest_rules().covered(known[key].as_data())
        values = former_values(restore_defaults(covered, digest_rules()))
        assert values == used_values(row["values"]), key


def test_rows_stay_valid_after_a_field_is_added(monkeypatch):
    @dataclass(frozen=True)
    class Schedule(composition.Schedule):
        added: int = 7

    build_recipe = Job.build_recipe

    def longer_recipe(job):
        recipe = build_recipe(job)
        return replace(recipe, schedule=Schedule(**vars(recipe.schedule)))

    monkeypatch.setattr(composition, "Schedule", Schedule)
    monkeypatch.setattr(Job, "build_recipe", longer_recipe)
    digest_rules.cache_clear()
    try:
        job = mnist_jobs.jobs({})[0]
        assert job.as_data()["recipe"]["schedule"]["added"] == 7
        assert invalid_rows() == []
    finally:
        digest_rules.cache_clear()


def test_digest_changes_with_a_value_of_the_recipe(monkeypatch):
    job = mnist_jobs.jobs({})[0]
    before, recipe = job.digest(), job.build_recipe()
    changed = replace(recipe, objective=replace(recipe.objective, stages=1.0))
    monkeypatch.setattr(Job, "build_recipe", lambda _: changed)
    assert job.digest() != before
