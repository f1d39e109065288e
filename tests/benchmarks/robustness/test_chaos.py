"""Disturbed runs give the same result as undisturbed ones: two runs, and all runs (slow)."""

import json
import random

import pytest

from benchmarks.result_pages import RESULTS
from benchmarks.robustness import cached_runs, chaos
from benchmarks.robustness.chaos import KILLS_PER_STAGE, OTHERS
from benchmarks.robustness.disturbances import disturbed_run, undisturbed_run
from benchmarks.robustness.flow_process import STAGES, Server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("chaos"))
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def undisturbed(server, tmp_path_factory):
    return undisturbed_run(server, tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.server
@pytest.mark.parametrize(
    ("kind", "stage"),
    [("kill", "distill"), pytest.param("server", "quantize", marks=pytest.mark.slow)],
)
def test_disturbed_run_gives_the_undisturbed_result(server, undisturbed, tmp_path, kind, stage):
    expected, durations = undisturbed
    row = disturbed_run(server, tmp_path, kind, stage, durations[stage], random.Random(0))
    assert row["failed"] == ""
    assert row["noticed"]
    assert row["made"] == expected
    assert row["done_twice"] == []


@pytest.mark.slow
@pytest.mark.timeout(2 * 3600)
def test_all_disturbed_runs_give_the_undisturbed_result():
    *_, rows = chaos.measure(random.Random(1))
    assert [row for row in rows if row["failed"] or not row["same"] or row["done_twice"]] == []
    killed = [row["stage"] for row in rows if row["kind"] == "kill"]
    assert all(killed.count(stage) >= KILLS_PER_STAGE for stage in STAGES), killed
    for kind, _ in OTHERS:
        assert any(row["noticed"] for row in rows if row["kind"] == kind), kind


def test_committed_chaos_page_matches_its_rows():
    rows = json.loads((RESULTS / "chaos.json").read_text())
    assert (RESULTS / "chaos.md").read_text() == chaos.render(rows, seed=0)


def test_committed_page_of_cached_runs_matches_its_result():
    result = json.loads((RESULTS / "cached_runs.json").read_text())
    assert (RESULTS / "cached_runs.md").read_text() == cached_runs.render(result)
