"""Disturbed runs end as undisturbed runs do: a tenth of them, and all of them (slow)."""

import random

import pytest

from benchmarks.robustness.chaos import KILLS, OTHERS, measured
from benchmarks.robustness.disturbances import STAGES, Server, disturbed, undisturbed


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("chaos"))
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def plain(server, tmp_path_factory):
    return undisturbed(server, tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize(("kind", "stage"), [("kill", "distill"), ("server", "quantize")])
def test_a_disturbed_run_ends_as_if_nothing_had_been(server, plain, tmp_path, kind, stage):
    meant, lasts = plain
    row = disturbed(server, tmp_path, kind, stage, lasts[stage], random.Random(0))
    assert row["failed"] == ""
    assert row["noticed"]
    assert row["made"] == meant
    assert row["done_twice"] == []


@pytest.mark.slow
@pytest.mark.timeout(2 * 3600)
def test_all_disturbed_runs_end_as_if_nothing_had_been():
    *_, rows = measured(random.Random(1))
    assert [row for row in rows if row["failed"] or not row["same"] or row["done_twice"]] == []
    killed = [row["stage"] for row in rows if row["kind"] == "kill"]
    assert all(killed.count(stage) >= KILLS for stage in STAGES), killed
    for kind, _ in OTHERS:
        assert any(row["noticed"] for row in rows if row["kind"] == kind), kind
