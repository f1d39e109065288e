"""A tenth of benchmarks/chaos.py: disturbed runs end as undisturbed ones do."""

import random

import pytest

from benchmarks.disturbances import Server, disturbed, undisturbed


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = Server(tmp_path_factory.mktemp("chaos"))
    started.start()
    yield started
    started.stop()


@pytest.fixture(scope="module")
def plain(server, tmp_path_factory):
    return undisturbed(server, tmp_path_factory.mktemp("plain"))


@pytest.mark.parametrize(
    ("kind", "stage"),
    [
        ("kill", "distill"),
        # Each killed run waits a minute for the place of the one that died.
        pytest.param("kill", "probe", marks=pytest.mark.slow),
        ("server", "quantize"),
    ],
)
def test_a_disturbed_run_ends_as_if_nothing_had_been(server, plain, tmp_path, kind, stage):
    meant, lasts = plain
    row = disturbed(server, tmp_path, kind, stage, lasts[stage], random.Random(0))
    assert row["made"] == meant
    assert row["done_twice"] == []
