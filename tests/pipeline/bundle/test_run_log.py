"""The log of runs in a store."""

import json

import pytest

from base.errors import InputError
from pipeline.bundle.run_figures import run_figures
from pipeline.bundle.run_log import log_run, logged_runs
from pipeline.store.store import Store
from tests.support.figures import make_manifest


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


def test_store_without_runs_has_none(store):
    assert logged_runs(store) == []


def test_newest_run_is_first(store):
    manifests = [make_manifest(name, letter * 64) for name, letter in ("xa", "yb", "xc")]
    for manifest in manifests:
        log_run(store, manifest)
    assert logged_runs(store) == [run_figures(manifest) for manifest in reversed(manifests)]


def test_bundle_that_is_written_again_is_listed_once_as_the_newest(store):
    first, second = make_manifest(bundle="a" * 64), make_manifest(bundle="b" * 64)
    slower = make_manifest(bundle="a" * 64, milliseconds=(4.0, 2.0))
    for manifest in (first, second, slower):
        log_run(store, manifest)
    assert logged_runs(store) == [run_figures(slower), run_figures(second)]


@pytest.mark.parametrize("change", [{"agreement": "high"}, {"targets": None}, {"when": 1, "x": 2}])
def test_damaged_entry_is_named(store, tmp_path, change):
    log_run(store, make_manifest())
    (entry,) = (tmp_path / "store" / "logs" / "runs" / "net").iterdir()
    entry.write_text(json.dumps({**json.loads(entry.read_text()), **change}))
    with pytest.raises(InputError, match="an entry of logs/runs/net is damaged; delete it"):
        logged_runs(store)
