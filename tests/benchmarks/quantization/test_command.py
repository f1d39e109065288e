"""The command that measures the quantization table: missing rows, stored rows, refusals."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import typer

from benchmarks import result_pages
from benchmarks.quantization import __main__ as quantization
from benchmarks.quantization.__main__ import main, missing, read_table
from benchmarks.quantization.correct_images import read_correct, write_correct
from benchmarks.quantization.jobs import jobs
from tests.benchmarks.quantization.rows import build_row


def test_missing_data_is_reported_before_the_first_run(tmp_path):
    with pytest.raises(typer.BadParameter, match="cifar10 is missing"):
        main(data=tmp_path, teachers=tmp_path, state=tmp_path)


def test_choice_without_rows_is_refused():
    with pytest.raises(typer.BadParameter, match="no row has the choice 'nois'; did you mean"):
        main(choice=["nois"])


def test_stored_row_is_no_longer_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(result_pages, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(
        quantization, "DEFAULTS_FILE", Path(shutil.copy(quantization.DEFAULTS_FILE, tmp_path))
    )
    job, other = jobs()[:2]
    correct = {
        job.key: np.ones(8, bool),
        job.teacher: np.ones(8, bool),
        "of no row": np.ones(8, bool),
    }
    write_correct(tmp_path / f"{job.key}.npz", correct)
    (tmp_path / f"{job.key}.json").touch()
    row = {**build_row(job.choice, 90.0), "teacher": job.teacher, "digest": job.digest()}
    line = quantization._store_row(job, row, tmp_path)
    assert line == f"{job.key}: 90.00 (90.00 in float)"
    assert not (tmp_path / f"{job.key}.json").exists()
    rows, kept = read_table()
    assert rows == {job.key: row}
    assert kept.keys() == {job.key, job.teacher}
    assert job not in missing(rows)
    assert other in missing(rows)


def test_missing_jobs_are_those_without_a_valid_digest():
    rows = {job.key: {"digest": job.digest()} for job in jobs()[:5]}
    assert missing(rows) == jobs()[5:]
    rows[jobs()[0].key]["digest"] = "another"
    assert missing(rows) == [jobs()[0], *jobs()[5:]]
    assert {job.choice for job in missing(rows, ["noise"])} == {"noise"}


def test_list_shows_missing_jobs_and_runs_none(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(result_pages, "RESULTS", tmp_path)
    main(list_only=True)
    *keys, count = capsys.readouterr().out.splitlines()
    assert keys == [job.key for job in jobs()]
    assert count == f"0 of {len(keys)} done"
    assert list(tmp_path.iterdir()) == []


def test_correct_images_are_read_as_they_were_written(tmp_path):
    correct = {"a": np.arange(15) % 3 == 0, "b": np.ones(16, bool)}
    write_correct(tmp_path / "correct.npz", correct)
    read = read_correct(tmp_path / "correct.npz")
    assert read.keys() == correct.keys()
    assert all((read[name] == correct[name]).all() for name in correct)
    assert [path.name for path in tmp_path.iterdir()] == ["correct.npz"]
