"""Building with a stand-in for trtexec: what is built, what is reused, and what is not."""

import dataclasses
import json
from pathlib import Path

import pytest

from targets.tensorrt.builders.trtexec import parse_banner
from targets.tensorrt.engine import load_engine
from targets.tensorrt.fingerprint import Fingerprint
from targets.tensorrt.options import default_workspace_mib
from tests.support.graphs import quantized_convolution
from tests.support.trtexec.install import DEVICE, INT8


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
    assert set(json.loads(engine.path.read_text())) == {"graph", "arguments", "for"}
    sidecar = json.loads((folder / "student.int8.json").read_text())
    assert sidecar["fingerprint"]["device"] == "orin-nano-8"
    assert sidecar["input"] == {"name": "images", "shape": [None, 3, 8, 8]}
    assert {path.name for path in folder.iterdir()} == {
        *("student.int8.engine", "student.int8.json", "student.int8.layers.json"),
        "build.int8.log",
    }
    (timings,) = (Path.home() / ".cache" / "datafree-edge" / "timing").iterdir()
    assert timings.name == "orin-nano-8-tensorrt-8.5.1-cuda-12.6-15W.cache"


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
    fields = {field.name for field in dataclasses.fields(Fingerprint)}
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
    assert load_engine(engine.path) is None
    assert not make().reused


def test_ten_tries_weak_typing_when_strong_is_refused(make, said):
    engine = make("10.16", fails="strong")
    assert engine.options.typing == "weak"
    assert json.loads(engine.path.read_text())["graph"].endswith("student.int8.onnx")
    assert any("strongly typed" in line and "trying the other way" in line for line in said)


def test_the_other_way_is_found_again_without_another_try(make, said):
    make("10.16", fails="strong")
    said.clear()
    again = make("10.16", fails="strong")
    assert again.reused and again.options.typing == "weak"
    assert said == ["student.int8.engine: built before, nothing changed"]


def test_the_log_holds_every_way_and_why_it_ended(make, folder):
    make("10.16", fails="strong")
    log = (folder / "build.int8.log").read_text()
    heads = [line for line in log.splitlines() if line.startswith("===")]
    assert heads[0] == "=== int8, strongly typed: student.int8-fp16.onnx, TensorRT 10.16.0 ==="
    assert "FP16 scale not supported" in heads[1] and "no engine" in heads[1]
    assert heads[-1] == "=== int8, weakly typed: student.int8.onnx, TensorRT 10.16.0 ==="
    assert log.index("[E] [TRT] DequantizeLinear") < log.index(heads[-1])
    make("8.6")
    assert "10.16" not in (folder / "build.int8.log").read_text()


@pytest.mark.parametrize("field", ["cuda", "power_mode"])
def test_what_a_device_does_not_tell_is_never_taken_for_the_same(make, said, field):
    blind = dataclasses.replace(DEVICE, **{field: "unknown"})
    make(device=blind)
    assert not make(device=blind).reused
    line = f"built again, this device does not tell whether its {field} changed"
    assert any(line in each for each in said)
    assert not list((Path.home() / ".cache").rglob("*.cache"))


def test_the_table_of_an_earlier_build_is_not_taken_for_this_ones(make, monkeypatch, said):
    make()
    monkeypatch.setenv("STANDIN_NO_LAYERS", "1")
    engine = make(options=dataclasses.replace(INT8, batch=4))
    assert engine.table == []
    assert "this TensorRT tells no types of layers" in said


@pytest.mark.parametrize(
    ("memory_gb", "mib"), [(None, 1024), (4, 512), (8, 1024), (64, 1024), (2, 256)]
)
def test_the_workspace_is_an_eighth_of_the_memory_and_never_large(memory_gb, mib):
    assert default_workspace_mib(memory_gb) == mib
