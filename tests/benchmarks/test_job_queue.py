"""The queue: order of the jobs, shares of the cores, failed jobs, and one queue at a time."""

import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from benchmarks.job_queue import JobFailedError, print_missing, queue_lock, run_job, run_queue

MODULE = "tests.benchmarks.one_job"


@dataclass(frozen=True)
class NamedJob:
    key: str

    def digest(self):
        return f"digest of {self.key}"


class RecordingTable:
    """Jobs by key; records which jobs ran at the same time, and on how many cores."""

    def __init__(self, *keys, failing=()):
        self.left = [NamedJob(key) for key in keys]
        self.failing = failing
        self.concurrent, self.cores, self.done = {}, {}, []
        self._running, self._lock = set(), threading.Lock()
        self._both = threading.Barrier(2)

    def run(self, job, cores):
        with self._lock:
            self._running.add(job.key)
        if not job.key.startswith("exclusive"):
            self._both.wait(10)
        with self._lock:
            self.concurrent[job.key] = set(self._running) - {job.key}
            self.cores[job.key] = cores
        if not job.key.startswith("exclusive"):
            self._both.wait(10)
        with self._lock:
            self._running.remove(job.key)
        if job.key in self.failing:
            raise JobFailedError("the [/reason]")
        return {"key": job.key}

    def store_row(self, job, row):
        assert row == {"key": job.key}
        self.left.remove(job)
        self.done.append(job.key)
        return job.key

    def run_queue(self, **options):
        options = {"workers": 2, "minutes": 1.0, **options}
        return run_queue(lambda: self.left, self.run, self.store_row, **options)


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3})


def test_two_jobs_run_at_a_time_and_share_the_cores():
    table = RecordingTable("a", "b", "c", "d")
    assert table.run_queue() == []
    assert set(table.done) == {"a", "b", "c", "d"}
    assert table.concurrent["a"] == {"b"}
    assert set(table.cores.values()) == {2}


def test_exclusive_job_runs_alone_on_all_cores():
    table = RecordingTable("a", "b", "exclusive", "c", "d")
    assert table.run_queue(exclusive=lambda job: job.key == "exclusive") == []
    assert table.concurrent["exclusive"] == set()
    assert table.cores == {"a": 2, "b": 2, "exclusive": 4, "c": 2, "d": 2}
    assert table.done[2] == "exclusive"


def test_failed_job_is_reported_and_the_others_run(capsys):
    table = RecordingTable("a", "b", "c", "d", failing=("b",))
    assert table.run_queue() == ["b"]
    assert set(table.done) == {"a", "c", "d"}
    assert "b failed: the [/reason]" in capsys.readouterr().out


def test_no_job_starts_after_the_time_limit():
    table = RecordingTable("a", "b")
    assert table.run_queue(minutes=0.0) == []
    assert table.done == []


def test_print_missing_lists_keys_and_counts(capsys):
    print_missing([NamedJob("a"), NamedJob("b")], total=5)
    assert capsys.readouterr().out == "a\nb\n3 of 5 done\n"


def run(key, state, threads=1):
    with queue_lock(state) as lock:
        folders = Path("data"), Path("teachers"), state
        return run_job(MODULE, NamedJob(key), *folders, threads=threads, lock=lock)


def test_finished_job_is_not_repeated_until_its_digest_changes(tmp_path):
    row = run("a", tmp_path, threads=3)
    assert row["threads"] == "3"
    assert run("a", tmp_path, threads=3) == row
    (tmp_path / "a.json").write_text('{"digest": "another"}')
    assert run("a", tmp_path, threads=3)["process"] != row["process"]


def test_failed_process_is_reported_with_its_log(tmp_path):
    with pytest.raises(JobFailedError, match=r"exit code 3; see .*broken\.log"):
        run("broken", tmp_path)
    assert (tmp_path / "broken.log").read_text() == "the reason\n"


def test_second_queue_is_refused(tmp_path):
    with (
        queue_lock(tmp_path),
        pytest.raises(typer.BadParameter, match="another queue"),
        queue_lock(tmp_path),
    ):
        pass
    with queue_lock(tmp_path):
        pass


def test_job_that_outlives_its_queue_keeps_the_lock(tmp_path):
    with queue_lock(tmp_path) as lock:
        left = subprocess.Popen(["sleep", "60"], pass_fds=[lock])
    try:
        with (
            pytest.raises(typer.BadParameter, match="a job that it left running"),
            queue_lock(tmp_path),
        ):
            pass
    finally:
        left.kill()
        left.wait()
    with queue_lock(tmp_path):
        pass
