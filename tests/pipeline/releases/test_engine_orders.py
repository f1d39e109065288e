"""Orders to devices, and their results, which are exchanged only through a store."""

import json

import pytest

from base.errors import InputError
from pipeline.bundle.unpacking import unpack
from pipeline.config.run_file import read_run_file
from pipeline.releases.engine_orders import (
    Order,
    create_orders,
    find_result,
    pending_result,
    store_result,
)
from pipeline.store.step_record import StepRecord
from pipeline.store.store import Store
from targets.bundle.bundle_files import open_bundle
from tests.support.quick_run import write_run


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def records(store, tmp_path):
    """Records of the steps export and probe, with what an order needs."""

    def put(name):
        path = tmp_path / name
        path.write_text(name)
        return store.put(path, name)

    graphs = {role: put(f"student.{role}.onnx") for role in ("fp32", "int8")}
    return {
        "export": StepRecord(graphs, {}),
        "probe": StepRecord({"bundle-golden": put("golden.npz")}, {}),
    }


def config(tmp_path, **changes):
    return read_run_file(write_run(tmp_path, **changes))


def test_unpacked_order_has_what_a_device_needs_and_nothing_else(tmp_path, store, records):
    chosen = config(tmp_path, targets=["local-cpu", "orin-nano", "arm@shelf"])
    nano, shelf = create_orders(chosen, records, store)
    assert (nano.name, nano.target, nano.pool) == ("orin-nano", "orin-nano-8", "orin-nano-8")
    assert (shelf.name, shelf.target, shelf.pool) == ("arm@shelf", "arm", "shelf")
    assert (nano.sha256 == shelf.sha256, nano.key == shelf.key) == (True, False)
    unpack(store, nano.sha256, tmp_path / "device")
    manifest = open_bundle(tmp_path / "device")
    names = {"golden.npz", "graphs/student.fp32.onnx", "graphs/student.int8.onnx"}
    assert manifest["files"].keys() == names
    assert manifest["run"]["gate"]["agreement"] == chosen.gate.agreement
    assert "weights" not in json.dumps(manifest)


def test_no_order_without_targets_on_devices(tmp_path, store, records):
    assert create_orders(config(tmp_path), records, store) == []
    four_bits = config(tmp_path, targets=["thor"], quantize={"weight_bits": 4})
    assert create_orders(four_bits, records, store) == []


def test_order_key_depends_on_gate_and_not_on_name(tmp_path, store, records):
    (one,) = create_orders(config(tmp_path, targets=["thor"]), records, store)
    (same,) = create_orders(config(tmp_path, targets=["thor"], name="renamed"), records, store)
    (other,) = create_orders(
        config(tmp_path, targets=["thor"], gate={"agreement": 0.95}), records, store
    )
    assert one.key == same.key != other.key


def make_result(folder, **report):
    """Write a folder as `compile_bundle` does on a device."""
    folder.mkdir()
    (folder / "student.int8.engine").write_text("engine")
    (folder / "build.int8.log").write_text("log")
    document = {"recommended": "int8", "files": {"student.int8.engine": "unused"}, **report}
    (folder / "report.json").write_text(json.dumps(document))
    return folder


ORDER = Order("orin-nano", "orin-nano-8", "orin-nano-8", None, "0" * 64, "1" * 64, "by hand")


def test_stored_result_is_found_by_order(tmp_path, store):
    assert find_result(store, ORDER) is None
    store_result(store, ORDER.key, make_result(tmp_path / "built"))
    found = find_result(store, ORDER)
    assert found.notes["recommended"] == "int8"
    assert found.artifacts.keys() == {"student.int8.engine", "report.json"}
    assert store.get(found.artifacts["student.int8.engine"], tmp_path).read_text() == "engine"


def test_interrupted_transfer_leaves_no_record(tmp_path, store, monkeypatch):
    folder = make_result(tmp_path / "built", files={"student.int8.engine": "", "lost.engine": ""})
    with pytest.raises(FileNotFoundError):
        store_result(store, ORDER.key, folder)
    assert find_result(store, ORDER) is None


def test_order_with_file_outside_folder_is_refused(tmp_path, store):
    path = tmp_path / "order.json"
    path.write_text(json.dumps({"files": {"../../stolen": "0" * 64}}))
    sha256 = store.put(path, path.name).sha256
    with pytest.raises(InputError, match="outside its folder"):
        unpack(store, sha256, tmp_path / "device")
    assert not (tmp_path / "stolen").exists()


def test_damaged_object_is_refused_on_device(tmp_path, store, records):
    (order,) = create_orders(config(tmp_path, targets=["thor"]), records, store)
    sha256 = records["probe"].artifacts["bundle-golden"].sha256
    (tmp_path / "store" / "objects" / sha256[:2] / sha256).write_text("other")
    with pytest.raises(InputError, match=r"golden.npz .* is damaged"):
        unpack(store, order.sha256, tmp_path / "device")


def test_pending_result_has_reason_and_command():
    notes = pending_result(ORDER, "no worker was asked").notes
    assert notes == {
        "engine": "pending",
        "because": "no worker was asked",
        "build": "by hand",
        "order": ORDER.key,
    }


def test_engine_with_private_probes_cannot_be_built_by_hand(tmp_path, store, records):
    (order,) = create_orders(config(tmp_path, targets=["thor"]), records, store)
    assert order.build == "python -m targets compile BUNDLE --target thor-t5000"
    (order,) = create_orders(config(tmp_path, targets=["thor"], private=True), records, store)
    assert order.build.startswith("only by a worker of its pool")


def test_each_accelerator_has_an_order_of_its_own(tmp_path, store, records):
    chosen = config(tmp_path, targets=["orin-nx", "orin-nx-dla0", "orin-nx-dla1"])
    gpu, *dla = create_orders(chosen, records, store)
    assert [gpu.dla_core, *(order.dla_core for order in dla)] == [None, 0, 1]
    assert len({order.key for order in (gpu, *dla)}) == 3
    by_hand = "python -m targets compile BUNDLE --target orin-nx-16 --dla-core 1"
    assert pending_result(dla[1], "no worker was asked").notes["build"] == by_hand


def test_keys_for_pictures_do_not_change_an_order(tmp_path, store, records):
    section = {"shape": [1, 32, 32], "mean": [0.1307], "std": [0.3081]}
    without, with_keys = (
        create_orders(config(tmp_path, targets=["orin-nano"], input=keys), records, store)
        for keys in (section, {**section, "resize": 40, "crop": 32})
    )
    assert without == with_keys
