"""Runs of a table: their order, who has the cores, and what becomes of those that fail."""

import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from benchmarks.job_queue import FailedError, run_job, sole_queue, work_off

MODULE = "tests.benchmarks.quantization.one_run"


@dataclass(frozen=True)
class Named:
    key: str

    def digest(self):
        return f"{self.key}'s"


class Table:
    """Jobs by their keys; remembers who ran beside whom, and with how many cores."""

    def __init__(self, *keys, failing=()):
        self.left = [Named(key) for key in keys]
        self.failing = failing
        self.beside, self.cores, self.done = {}, {}, []
        self._running, self._lock = set(), threading.Lock()
        self._met = threading.Barrier(2)

    def run(self, job, cores):
        with self._lock:
            self._running.add(job.key)
        if not job.key.startswith("alone"):
            self._met.wait(10)
        with self._lock:
            self.beside[job.key] = set(self._running) - {job.key}
            self.cores[job.key] = cores
        if not job.key.startswith("alone"):
            self._met.wait(10)
        with self._lock:
            self._running.remove(job.key)
        if job.key in self.failing:
            raise FailedError("the [/reason]")
        return {"key": job.key}

    def keep(self, job, row):
        assert row == {"key": job.key}
        self.left.remove(job)
        self.done.append(job.key)
        return job.key

    def work_off(self, **options):
        options = {"workers": 2, "minutes": 1.0, **options}
        return work_off(lambda: self.left, self.run, self.keep, **options)


@pytest.fixture(autouse=True)
def four_cores(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 4)


def test_two_run_at_a_time_and_share_the_cores():
    table = Table("a", "b", "c", "d")
    assert table.work_off() == []
    assert set(table.done) == {"a", "b", "c", "d"}
    assert table.beside["a"] == {"b"}
    assert set(table.cores.values()) == {2}


def test_one_that_is_timed_gets_all_cores_and_no_company():
    table = Table("a", "b", "alone", "c", "d")
    assert table.work_off(alone=lambda job: job.key == "alone") == []
    assert table.beside["alone"] == set()
    assert table.cores == {"a": 2, "b": 2, "alone": 4, "c": 2, "d": 2}
    assert table.done[2] == "alone"


def test_one_that_fails_is_said_and_not_tried_again_and_the_others_go_on(capsys):
    table = Table("a", "b", "c", "d", failing=("b",))
    assert table.work_off() == ["b"]
    assert set(table.done) == {"a", "c", "d"}
    assert "b failed: the [/reason]" in capsys.readouterr().out


def test_nothing_is_started_when_the_time_is_over():
    table = Table("a", "b")
    assert table.work_off(minutes=0.0) == []
    assert table.done == []


def run(key, state, threads=1):
    with sole_queue(state) as held:
        folders = Path("data"), Path("teachers"), state
        return run_job(MODULE, Named(key), *folders, threads=threads, held=held)


def test_a_run_has_a_process_of_its_own_and_is_not_repeated(tmp_path):
    row = run("a", tmp_path, threads=3)
    assert row["threads"] == "3"
    assert run("a", tmp_path, threads=3) == row
    (tmp_path / "a.json").write_text('{"digest": "of other settings"}')
    assert run("a", tmp_path, threads=3)["process"] != row["process"]


def test_a_run_without_a_row_names_its_log(tmp_path):
    with pytest.raises(FailedError, match=r"exit code 3; see .*broken\.log"):
        run("broken", tmp_path)
    assert (tmp_path / "broken.log").read_text() == "the reason\n"


def test_one_queue_at_a_time(tmp_path):
    with (
        sole_queue(tmp_path),
        pytest.raises(typer.BadParameter, match="another queue"),
        sole_queue(tmp_path),
    ):
        pass
    with sole_queue(tmp_path):
        pass


def test_a_run_that_outlives_its_queue_keeps_others_away(tmp_path):
    with sole_queue(tmp_path) as held:
        left = subprocess.Popen(["sleep", "60"], pass_fds=[held])
    try:
        with pytest.raises(typer.BadParameter, match="a run that it left"), sole_queue(tmp_path):
            pass
    finally:
        left.kill()
        left.wait()
    with sole_queue(tmp_path):
        pass
