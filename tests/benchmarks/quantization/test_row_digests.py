"""Measured rows of the quantization table stay valid."""

from pydantic import create_model

from benchmarks.quantization import jobs as quantization_jobs
from benchmarks.quantization.__main__ import missing, read_table
from benchmarks.quantization.jobs import digest_rules, jobs
from pipeline.config import schema
from tests.benchmarks.old_rows import by_path, figures_digest, read_old, restore_defaults

OLD = read_old("quantization")


def without_types(data):
    if isinstance(data, dict):
        return {name: without_types(value) for name, value in data.items() if name != "type"}
    return data


def test_every_row_is_valid():
    assert missing(read_table()[0]) == []


def test_figures_are_those_measured_before_the_digests_changed():
    rows, _ = read_table()
    assert {key: figures_digest(row) for key, row in rows.items() if key in OLD} == {
        key: row["figures"] for key, row in OLD.items()
    }


def test_jobs_have_the_values_of_the_old_digests():
    assert OLD.keys() == {job.key for job in jobs()}
    for job in jobs():
        covered = digest_rules().covered(job.as_data())
        values = by_path(without_types(restore_defaults(covered, digest_rules())))
        assert values.pop("seed") == job.seed
        # Keys that were added since have the values that the rows were measured with.
        added = {
            "teacher.factory_arguments": {},
            "teacher.output": None,
            "teacher.trusted": False,
            "teacher.weights_key": None,
            "input.resize": None,
            "input.crop": None,
            "input.interpolation": "bilinear",
            "quantize.adjust": "off",
            "precision": "float32",
        }
        old = OLD[job.key]["values"] | added
        # A key of the run file that was removed. It never changed the formulas.
        old.pop("quantize.kernels")
        assert values == old, job.key


def test_rows_stay_valid_after_a_run_file_key_is_added(monkeypatch):
    longer = create_model("QuantizeSection", __base__=schema.QuantizeSection, added=(int, 7))
    monkeypatch.setattr(schema, "QuantizeSection", longer)
    config_of = quantization_jobs.Job.config

    def config(job, teachers):
        config = config_of(job, teachers)
        section = longer.model_validate(config.quantize.model_dump(exclude_unset=True))
        return config.model_copy(update={"quantize": section})

    monkeypatch.setattr(quantization_jobs.Job, "config", config)
    digest_rules.cache_clear()
    try:
        assert jobs()[0].as_data()["quantize"]["added"] == 7
        assert missing(read_table()[0]) == []
    finally:
        digest_rules.cache_clear()
