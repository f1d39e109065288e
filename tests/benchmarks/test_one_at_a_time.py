"""A table of rows that are measured one at a time."""

from dataclasses import dataclass

import pytest

from benchmarks import one_at_a_time, result_pages
from benchmarks.one_at_a_time import Table


@dataclass(frozen=True)
class Job:
    key: str

    def digest(self):
        return f"digest of {self.key}"


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.setattr(result_pages, "RESULTS", tmp_path / "results")

    def run_job(module, job, *_, **__):
        if job.key == "fails":
            raise RuntimeError("no row")
        return {"digest": job.digest(), "value": job.key.upper()}

    monkeypatch.setattr(one_at_a_time, "run_job", run_job)
    jobs = [Job("a"), Job("fails"), Job("b")]
    return Table("values", jobs, "module", lambda r, missing: f"{len(r)} {missing}", str)


def test_rows_are_stored_in_order_and_failed_jobs_stay_missing(table, tmp_path):
    assert table.measure(tmp_path, tmp_path, tmp_path / "state", 1e9, []) == ["fails"]
    assert {key: row["value"] for key, row in table.rows().items()} == {"a": "A", "b": "B"}
    assert [job.key for job in table.missing()] == ["fails"]
    assert (result_pages.RESULTS / "values.md").read_text() == "2 1"


def test_only_the_named_rows_are_measured(table, tmp_path):
    table.measure(tmp_path, tmp_path, tmp_path / "state", 1e9, ["b"])
    assert list(table.rows()) == ["b"]
    assert [job.key for job in table.missing()] == ["a", "fails"]


def test_row_of_another_digest_is_missing(table, tmp_path, monkeypatch):
    table.measure(tmp_path, tmp_path, tmp_path / "state", 1e9, ["a"])
    monkeypatch.setattr(Job, "digest", lambda job: "another")
    assert [job.key for job in table.missing()] == ["a", "fails", "b"]
