"""Orders to devices, and what comes back, through a store and nothing else."""

import json

import pytest

from base.errors import InputError
from pipeline.bundle.unpack import lay_out
from pipeline.config.run_file import read_run_file
from pipeline.releases.engine_orders import Order, delivered, orders, pending, send
from pipeline.store.step_record import StepRecord
from pipeline.store.store import Store
from targets.bundle.bundle_files import open_bundle
from tests.support.quick_run import write_run


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def records(store, tmp_path):
    """What export and probe would leave, as far as an order looks at it."""

    def kept(name):
        path = tmp_path / name
        path.write_text(name)
        return store.put(path, name)

    graphs = {role: kept(f"student.{role}.onnx") for role in ("fp32", "int8")}
    return {
        "export": StepRecord(graphs, {}),
        "probe": StepRecord({"golden": kept("golden.npz")}, {}),
    }


def config(tmp_path, **changes):
    return read_run_file(write_run(tmp_path, **changes))


def test_an_order_lays_out_what_a_device_needs_and_nothing_else(tmp_path, store, records):
    chosen = config(tmp_path, targets=["local-cpu", "orin-nano", "arm@shelf"])
    nano, shelf = orders(chosen, records, store)
    assert (nano.name, nano.target, nano.pool) == ("orin-nano", "orin-nano-8", "orin-nano-8")
    assert (shelf.name, shelf.target, shelf.pool) == ("arm@shelf", "arm", "shelf")
    assert (nano.sha256 == shelf.sha256, nano.key == shelf.key) == (True, False)
    lay_out(store, nano.sha256, tmp_path / "device")
    manifest = open_bundle(tmp_path / "device")
    names = {"golden.npz", "graphs/student.fp32.onnx", "graphs/student.int8.onnx"}
    assert manifest["files"].keys() == names
    assert manifest["run"]["gate"]["agreement"] == chosen.gate.agreement
    assert "weights" not in json.dumps(manifest)


def test_nothing_is_ordered_where_nothing_is_built_elsewhere(tmp_path, store, records):
    assert orders(config(tmp_path), records, store) == []
    four_bits = config(tmp_path, targets=["thor"], quantize={"weight_bits": 4})
    assert orders(four_bits, records, store) == []


def test_the_same_order_has_the_same_key_and_another_gate_has_another(tmp_path, store, records):
    (one,) = orders(config(tmp_path, targets=["thor"]), records, store)
    (same,) = orders(config(tmp_path, targets=["thor"], name="renamed"), records, store)
    (other,) = orders(config(tmp_path, targets=["thor"], gate={"agreement": 0.95}), records, store)
    assert one.key == same.key != other.key


def built(folder, **report):
    """What `compile_bundle` leaves on a device."""
    folder.mkdir()
    (folder / "student.int8.engine").write_text("engine")
    (folder / "build.int8.log").write_text("log")
    document = {"recommended": "int8", "files": {"student.int8.engine": "unused"}, **report}
    (folder / "report.json").write_text(json.dumps(document))
    return folder


ORDER = Order("orin-nano", "orin-nano-8", "orin-nano-8", None, "0" * 64, "1" * 64, "by hand")


def test_what_is_sent_back_is_found_by_the_order(tmp_path, store):
    assert delivered(store, ORDER) is None
    send(store, ORDER.key, built(tmp_path / "built"))
    found = delivered(store, ORDER)
    assert found.notes["recommended"] == "int8"
    assert found.artifacts.keys() == {"student.int8.engine", "report.json"}
    assert store.get(found.artifacts["student.int8.engine"], tmp_path).read_text() == "engine"


def test_a_transfer_that_breaks_off_leaves_no_half_delivery(tmp_path, store, monkeypatch):
    place = built(tmp_path / "built", files={"student.int8.engine": "", "lost.engine": ""})
    with pytest.raises(FileNotFoundError):
        send(store, ORDER.key, place)
    assert delivered(store, ORDER) is None


def test_an_order_that_names_a_place_outside_its_folder_is_refused(tmp_path, store):
    path = tmp_path / "order.json"
    path.write_text(json.dumps({"files": {"../../stolen": "0" * 64}}))
    sha256 = store.put(path, path.name).sha256
    with pytest.raises(InputError, match="outside its folder"):
        lay_out(store, sha256, tmp_path / "device")
    assert not (tmp_path / "stolen").exists()


def test_a_damaged_object_is_refused_on_the_device(tmp_path, store, records):
    (order,) = orders(config(tmp_path, targets=["thor"]), records, store)
    sha256 = records["probe"].artifacts["golden"].sha256
    (tmp_path / "store" / "objects" / sha256[:2] / sha256).write_text("other")
    with pytest.raises(InputError, match=r"golden.npz .* is damaged"):
        lay_out(store, order.sha256, tmp_path / "device")


def test_pending_says_why_and_what_builds_it_by_hand():
    notes = pending(ORDER, "nobody was asked").notes
    assert notes == {
        "engine": "pending",
        "because": "nobody was asked",
        "build": "by hand",
    }


def test_by_hand_it_is_one_command_unless_the_probes_are_private(tmp_path, store, records):
    (order,) = orders(config(tmp_path, targets=["thor"]), records, store)
    assert order.build == "python -m targets compile BUNDLE --target thor-t5000"
    (order,) = orders(config(tmp_path, targets=["thor"], private=True), records, store)
    assert order.build.startswith("a worker of its pool alone")


def test_an_order_for_an_accelerator_is_another_and_says_so(tmp_path, store, records):
    chosen = config(tmp_path, targets=["orin-nx", "orin-nx-dla0", "orin-nx-dla1"])
    gpu, *dla = orders(chosen, records, store)
    assert [gpu.dla_core, *(order.dla_core for order in dla)] == [None, 0, 1]
    assert len({order.key for order in (gpu, *dla)}) == 3
    by_hand = "python -m targets compile BUNDLE --target orin-nx-16 --dla-core 1"
    assert pending(dla[1], "nobody was asked").notes["build"] == by_hand
