"""Bundles, run files, releases and orders of the version before the packages moved still work."""

import json
import shutil
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from base.file_digest import file_digest
from pipeline.bundle.opening import open_bundle
from pipeline.bundle.unpacking import unpack
from pipeline.cli import app
from pipeline.config.run_file import read_run_file
from pipeline.releases.engine_orders import ENGINE_STEP, create_orders, find_result, store_result
from pipeline.releases.fetching import fetch_release
from pipeline.releases.publishing import roll_back
from pipeline.releases.release_log import objects_in_use, release_history
from pipeline.store.garbage_collection import find_garbage
from pipeline.store.step_record import Artifact, StepRecord
from pipeline.store.store import Store
from pipeline.teachers.config_checks import check_config
from targets.catalogue.catalogue import find_target
from targets.on_device.compile_bundle import ENGINE_REPORT, BuildRequest, compile_bundle
from tests.support.quick_run import ROOT

FIXTURES = ROOT / "tests" / "fixtures" / "before_move"

KEY = "c41e6f6a46b6d691c7df5aa0d945b220940cb309b45edbdba18618a35dd565e1"
"""The key under which the device recorded its engine."""


@pytest.fixture
def bundle(tmp_path):
    return shutil.copytree(FIXTURES / "bundle", tmp_path / "bundle")


@pytest.fixture
def store(tmp_path):
    shutil.copytree(FIXTURES / "store", tmp_path / "store")
    return Store(str(tmp_path / "store"))


@pytest.fixture
def order(store, bundle):
    """The order's sha256; its files are those of the bundle."""
    for path in (*(bundle / "graphs").iterdir(), bundle / "golden.npz"):
        store.put(path, path.name)
    return store.put(FIXTURES / "order.json", "order.json").sha256


def contained(old, new):
    """Return whether `new` has everything that `old` has; it may have more keys."""
    if isinstance(old, dict):
        return all(name in new and contained(old[name], new[name]) for name in old)
    return old == new


def test_old_bundle_is_validated_with_the_same_agreement_and_its_probes_are_judged(bundle):
    """The teacher predicts 2 of 10 classes, which was not judged then."""
    manifest = open_bundle(bundle)
    result = CliRunner().invoke(app, ["validate", str(bundle)])
    verdict = manifest["verdict"]
    assert result.exit_code == 3, result.output
    assert "the teacher predicts 2 of 10 classes (required: 5)" in result.output
    assert f"{100 * verdict['agreement']:.2f} %" in result.output


def test_old_run_file_is_read_with_the_same_meaning(monkeypatch):
    monkeypatch.syspath_prepend(FIXTURES)
    config = read_run_file(FIXTURES / "run.yaml")
    check_config(config)
    recorded = json.loads((FIXTURES / "bundle" / "manifest.json").read_text())["run"]
    recorded["quantize"].pop("kernels")  # It has no effect any more.
    assert contained(recorded, config.model_dump(mode="json"))


def test_old_releases_are_listed_fetched_and_rolled_back(store, tmp_path):
    releases = release_history(store, "net")
    assert len(releases) == 4
    assert releases[3].bundle == releases[1].bundle
    current = fetch_release(store, "net", tmp_path / "current")
    assert current.bundle == releases[1].bundle
    assert roll_back(store, "net").bundle == releases[0].bundle
    assert len(release_history(store, "net")) == 5


def test_old_store_has_its_garbage_found(store):
    garbage = find_garbage(store, timedelta(days=7), objects_in_use(store))
    assert garbage.records == ()


def test_old_engine_record_is_recalled(store, tmp_path):
    record = store.recall(ENGINE_STEP, KEY)
    report = store.get(record.artifacts[ENGINE_REPORT], tmp_path)
    assert json.loads(report.read_text()) == record.notes


def test_old_order_is_built_and_sent_back(store, order, tmp_path):
    device = tmp_path / "device"
    unpack(store, order, device)
    built = compile_bundle(device, find_target("local-cpu"), BuildRequest(), print)
    store_result(store, "a" * 64, built)
    record = store.recall(ENGINE_STEP, "a" * 64)
    old = store.recall(ENGINE_STEP, KEY)
    assert record.artifacts.keys() == old.artifacts.keys()
    assert contained({name: type(v).__name__ for name, v in old.notes.items()}, _types(record))


def _types(record):
    return {name: type(value).__name__ for name, value in record.notes.items()}


def test_old_bundle_is_compiled_on_a_device(bundle):
    built = compile_bundle(bundle, find_target("local-cpu"), BuildRequest(), print)
    assert json.loads((built / ENGINE_REPORT).read_text())["target"] == "local-cpu"


def test_present_run_makes_the_same_order(store, bundle, monkeypatch):
    """The graphs' digests are taken from the old bundle."""
    monkeypatch.syspath_prepend(FIXTURES)
    config = read_run_file(FIXTURES / "run.yaml")
    graphs = {
        path.name.removeprefix("student.").removesuffix(".onnx"): Artifact(
            path.name, file_digest(path), path.stat().st_size
        )
        for path in (bundle / "graphs").iterdir()
    }
    golden = bundle / "golden.npz"
    probes = {"bundle-golden": Artifact("golden.npz", file_digest(golden), golden.stat().st_size)}
    records = {"export": StepRecord(graphs, {}), "probe": StepRecord(probes, {})}
    (made,) = create_orders(config, records, store)
    assert made.sha256 == file_digest(FIXTURES / "order.json")
    assert find_result(store, made) is None, "the new code's key differs: the device is asked again"
