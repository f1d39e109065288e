"""Rows of libraries that are not installed, and the page."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.teacher_files import __main__ as command
from benchmarks.teacher_files import libraries
from benchmarks.teacher_files.file import File
from benchmarks.teacher_files.files import FILES
from benchmarks.teacher_files.networks import of_registry
from benchmarks.teacher_files.torch_files import saved

SHAPE = (1, 28, 28)

PLAIN = File(
    "safetensors",
    "lenet5",
    SHAPE,
    lambda: of_registry("lenet5", SHAPE),
    saved,
    ".safetensors",
    {"architecture": "lenet5"},
)

OTHER = replace(PLAIN, kind="a rare library", needs=("rare_library",))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs the benchmark on two files and returns rows and page.

    Its argument says whether the library of the second one is installed.
    """
    monkeypatch.setattr(command, "FILES", [PLAIN, OTHER])
    monkeypatch.setattr(command, "RESULTS", tmp_path)
    measured = []

    def measure(file):
        measured.append(file.kind)
        return original(file)

    original = command.measure
    monkeypatch.setattr(command, "measure", measure)

    def run_once(version):
        known = libraries.find_spec
        with monkeypatch.context() as context:
            context.setattr(
                libraries, "find_spec", lambda n: version if n == "rare_library" else known(n)
            )
            context.setattr(
                libraries, "_version", lambda n: (n, version if n == "rare_library" else "1.0")
            )
            command.main()
        rows = json.loads((tmp_path / "teacher_files.json").read_text())
        page = (tmp_path / "teacher_files.md").read_text()
        found, measured[:] = list(measured), []
        return found, {row["kind"]: row for row in rows}, page

    return run_once


def test_rows_of_missing_libraries_are_listed_and_kept(run):
    found, rows, page = run(None)
    assert found == list(rows) == [PLAIN.kind]
    assert f"| {OTHER.kind} | lenet5 | not measured: needs rare_library |" in page
    assert "1 files" in page and "1 of 1 have the expected outcome" in page

    found, rows, page = run("2.0")
    assert (found, list(rows)) == ([OTHER.kind], [PLAIN.kind, OTHER.kind])
    assert rows[OTHER.kind]["largest_difference"] == 0
    assert "rare_library 2.0" in page and "not measured" not in page

    kept, page_with_library = rows, page
    found, rows, page = run(None)
    assert (found, rows, page) == ([], kept, page_with_library)


def test_row_is_measured_again_with_another_version_of_its_library(run):
    run("2.0")
    found, rows, _ = run("3.0")
    assert found == [OTHER.kind]
    assert rows[OTHER.kind]["versions"]["rare_library"] == "3.0"


def test_every_file_has_a_row_of_its_own():
    assert max(Counter((file.kind, file.name) for file in FILES).values()) == 1
