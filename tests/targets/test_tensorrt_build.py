"""Building with a stand-in for trtexec: what is reused, what is not, and what a failure leaves."""

import dataclasses
import json

import pytest

from targets.tensorrt import build as building
from targets.tensorrt.build import build, reopen
from targets.tensorrt.failures import BuildError
from targets.tensorrt.plan import Options, UnsupportedError
from targets.tensorrt.trtexec import find_trtexec, parse_banner
from tests.targets.graphs import quantized_convolution
from tests.targets.standing_in import DEVICE, install_stand_in

INT8 = Options("int8", "weak", batch=1, largest=8)

ROLES = ("fp32", "fp16", "int8", "int8-float-weights", "int8-fp16")


@pytest.fixture
def graphs(tmp_path):
    """The same graph in the place of every form: what a build needs of them is that they differ."""
    folder = tmp_path / "graphs"
    folder.mkdir()
    for index, role in enumerate(ROLES):
        model = quantized_convolution(seed=index)
        (folder / f"student.{role}.onnx").write_bytes(model.SerializeToString())
    return folder


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "engines"
    place.mkdir()
    return place


@pytest.fixture
def said():
    return []


@pytest.fixture
def make(monkeypatch, tmp_path, graphs, folder, said):
    """Builds with the stand-in of a version."""

    def _make(version="8.5", device=DEVICE, options=INT8, fails=""):
        install_stand_in(monkeypatch, tmp_path, version)
        monkeypatch.setenv("STANDIN_FAILS", fails)
        return build(find_trtexec(), device, graphs, options, folder, said.append)

    return _make


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ("[TensorRT v8201]", (8, 2, 1)),
        ("[TensorRT v8502]", (8, 5, 2)),
        ("[TensorRT v100300]", (10, 3, 0)),
        ("[TensorRT v101600] [b72]", (10, 16, 0)),
        ("[TensorRT v110100] [b106]", (11, 1, 0)),
        ("no banner", None),
    ],
)
def test_the_banner_tells_the_version(banner, version):
    assert parse_banner(f"&&&& RUNNING TensorRT.trtexec {banner} # trtexec") == version


@pytest.mark.parametrize(
    ("version", "graph", "typing"),
    [
        ("8.2", "int8-float-weights", "weak"),
        ("8.6", "int8-float-weights", "weak"),
        ("10.3", "int8-fp16", "strong"),
        ("10.16", "int8-fp16", "strong"),
        ("11.1", "int8-fp16", "strong"),
    ],
)
def test_every_generation_builds_from_its_own_graph(make, version, graph, typing):
    engine = make(version)
    built_from = json.loads(engine.path.read_text())["graph"]
    assert built_from.endswith(f"student.{graph}.onnx")
    assert engine.options.typing == typing
    assert [layer.takes for layer in engine.table] == ["int8"]


def test_the_engine_file_is_trtexecs_own_and_the_rest_stands_beside(make, folder):
    engine = make()
    assert set(json.loads(engine.path.read_text())) == {"graph", "arguments"}
    sidecar = json.loads((folder / "student.int8.json").read_text())
    assert sidecar["fingerprint"]["device"] == "orin-nano-8"
    assert sidecar["input"] == {"name": "images", "shape": [None, 3, 8, 8]}
    assert (folder / "timing.orin-nano-8-8-5-1-cuda-12.6-15W.cache").exists()


def test_the_same_again_is_not_built_again(make, said):
    first = make()
    before = first.path.stat().st_mtime_ns
    again = make(fails="node")
    assert again.reused and not first.reused
    assert again.path.stat().st_mtime_ns == before
    assert again.table == first.table
    assert "nothing changed" in said[-1]


CHANGES = {
    "cuda": {"cuda": "12.9"},
    "compute_capability": {"compute_capability": "11.0"},
    "device": {"target": "orin-nx-16"},
    "l4t": {"l4t": "36.5.0"},
    "power_mode": {"power_mode": "7W"},
}


@pytest.mark.parametrize("field", CHANGES)
def test_another_device_builds_again(make, said, field):
    make()
    engine = make(device=dataclasses.replace(DEVICE, **CHANGES[field]))
    assert not engine.reused
    assert any("built again" in line and f"{field}: " in line for line in said)


def test_another_tensorrt_builds_again(make, said):
    make("8.5")
    assert not make("8.6").reused
    assert any("tensorrt: 8.5.1 -> 8.6.1" in line for line in said)


def test_other_options_build_again(make, said):
    make()
    assert not make(options=dataclasses.replace(INT8, batch=4)).reused
    assert any("options: " in line for line in said)


def test_another_graph_builds_again(make, graphs, said):
    make()
    graph = graphs / "student.int8-float-weights.onnx"
    graph.write_bytes(quantized_convolution(seed=99).SerializeToString())
    assert not make().reused
    assert any("graph: " in line for line in said)


def test_every_field_of_a_fingerprint_is_changed_above():
    fields = {field.name for field in dataclasses.fields(building.Fingerprint)}
    assert fields == {*CHANGES, "tensorrt", "options", "graph"}


@pytest.mark.parametrize("damage", ["engine", "sidecar", "torn"])
def test_a_damaged_engine_is_built_again(make, folder, damage):
    engine = make()
    if damage == "engine":
        engine.path.write_text("something else")
    elif damage == "sidecar":
        (folder / "student.int8.json").unlink()
    else:
        (folder / "student.int8.json").write_text("{")
    assert reopen(engine.path) is None
    assert not make().reused


@pytest.mark.parametrize(
    ("fails", "kind"),
    [
        ("memory", "out-of-memory"),
        ("node", "unsupported-node"),
        ("disk", "disk-full"),
        ("dla", "no-dla-library"),
        ("zero", "zero-point"),
        ("kernel", "no-implementation"),
        ("other", "refused"),
        ("killed", "killed"),
        ("crashed", "crashed"),
        ("nothing", "no-engine"),
        ("empty", "no-engine"),
    ],
)
def test_a_failure_is_named_and_leaves_no_engine(make, folder, fails, kind):
    with pytest.raises(BuildError) as caught:
        make(fails=fails)
    assert caught.value.failure.kind == kind
    assert "\n" not in str(caught.value)
    left = {path.name for path in folder.iterdir()}
    assert left <= {"build.int8.log", "timing.orin-nano-8-8-5-1-cuda-12.6-15W.cache"}


def test_a_hung_build_is_stopped(make, folder, monkeypatch):
    monkeypatch.setattr(building, "BUILD_SECONDS", 0.5)
    with pytest.raises(BuildError) as caught:
        make(fails="hung")
    assert caught.value.failure.kind == "hung"
    assert not list(folder.glob("*.engine"))


def test_an_unreadable_table_of_layers_is_told_and_costs_no_engine(make, said):
    engine = make(fails="garbage")
    assert engine.table == []
    assert "student.int8.layers.json: the table of layers cannot be read" in said


def test_a_failure_leaves_the_engine_that_was_there(make):
    engine = make()
    before = engine.path.read_bytes()
    with pytest.raises(BuildError):
        make("8.6", fails="node")
    assert engine.path.read_bytes() == before


def test_ten_tries_weak_typing_when_strong_is_refused(make, said):
    engine = make("10.16", fails="strong")
    assert engine.options.typing == "weak"
    assert json.loads(engine.path.read_text())["graph"].endswith("student.int8.onnx")
    assert any("strongly typed" in line and "trying the other way" in line for line in said)


def test_what_may_pass_is_not_tried_the_other_way(make, said):
    with pytest.raises(BuildError):
        make("10.3", fails="memory")
    assert not any("trying" in line for line in said)


def test_a_graph_above_the_parsers_opset_is_refused_before_it_is_built(make, folder):
    with pytest.raises(UnsupportedError, match=r"opset 17 is above 13.* JetPack 6\.1 reads"):
        make(device=dataclasses.replace(DEVICE, opset=13))
    assert not list(folder.iterdir())


def test_no_trtexec_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="nowhere to be found; install the package tensorrt"):
        find_trtexec()
