"""Builds with a stand-in for trtexec: which engines are built and which are reused."""

import dataclasses
import json
from pathlib import Path

import pytest

from targets.tensorrt.engine import load_engine
from targets.tensorrt.fingerprint import Fingerprint
from tests.support.graphs import quantized_convolution
from tests.support.trtexec.install import DEVICE, INT8


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
def test_build_uses_the_graph_of_the_tensorrt_version(make, version, graph, typing):
    engine = make(version)
    built_from = json.loads(engine.path.read_text())["graph"]
    assert built_from.endswith(f"student.{graph}.onnx")
    assert engine.options.typing == typing
    assert [layer.takes for layer in engine.layers] == ["int8"]


def test_build_writes_engine_sidecar_layers_log_and_timing_cache(make, folder):
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


def test_unchanged_engine_is_reused(make, messages):
    first = make()
    before = first.path.stat().st_mtime_ns
    second = make(fails="node")
    assert second.reused and not first.reused
    assert second.path.stat().st_mtime_ns == before
    assert second.layers == first.layers
    assert "unchanged, reused" in messages[-1]


CHANGES = {
    "cuda": {"cuda": "12.9"},
    "compute_capability": {"compute_capability": "11.0"},
    "device": {"target": "orin-nx-16"},
    "l4t": {"l4t": "36.5.0"},
    "power_mode": {"power_mode": "7W"},
}


@pytest.mark.parametrize("field", CHANGES)
def test_another_device_rebuilds(make, messages, field):
    make()
    engine = make(device=dataclasses.replace(DEVICE, **CHANGES[field]))
    assert not engine.reused
    assert any("rebuilding" in line and f"{field}: " in line for line in messages)


def test_another_tensorrt_rebuilds(make, messages):
    make("8.5")
    assert not make("8.6").reused
    assert any("tensorrt: 8.5.1 -> 8.6.1" in line for line in messages)


def test_other_options_rebuild(make, messages):
    make()
    assert not make(options=dataclasses.replace(INT8, batch=4)).reused
    assert any("options: " in line for line in messages)


def test_another_graph_rebuilds(make, graphs, messages):
    make()
    graph = graphs / "student.int8-float-weights.onnx"
    graph.write_bytes(quantized_convolution(seed=99).SerializeToString())
    assert not make().reused
    assert any("graph: " in line for line in messages)


def test_rebuild_tests_cover_every_field_of_the_fingerprint():
    fields = {field.name for field in dataclasses.fields(Fingerprint)}
    assert fields == {*CHANGES, "tensorrt", "options", "graph"}


@pytest.mark.parametrize("damage", ["engine", "sidecar", "torn"])
def test_damaged_engine_is_rebuilt(make, folder, damage):
    engine = make()
    if damage == "engine":
        engine.path.write_text("something else")
    elif damage == "sidecar":
        (folder / "student.int8.json").unlink()
    else:
        (folder / "student.int8.json").write_text("{")
    assert load_engine(engine.path) is None
    assert not make().reused


def test_version_10_falls_back_to_weak_typing(make, messages):
    engine = make("10.16", fails="strong")
    assert engine.options.typing == "weak"
    assert json.loads(engine.path.read_text())["graph"].endswith("student.int8.onnx")
    assert any(
        "strongly typed" in line and "trying the next typing mode" in line for line in messages
    )


def test_engine_of_the_fallback_mode_is_reused(make, messages):
    make("10.16", fails="strong")
    messages.clear()
    engine = make("10.16", fails="strong")
    assert engine.reused and engine.options.typing == "weak"
    assert messages == ["student.int8.engine: unchanged, reused"]


def test_log_contains_every_attempt_and_its_error(make, folder):
    make("10.16", fails="strong")
    log = (folder / "build.int8.log").read_text()
    headings = [line for line in log.splitlines() if line.startswith("===")]
    assert headings[0] == "=== int8, strongly typed: student.int8-fp16.onnx, TensorRT 10.16.0 ==="
    assert "FP16 scale not supported" in headings[1] and "no engine" in headings[1]
    assert headings[-1] == "=== int8, weakly typed: student.int8.onnx, TensorRT 10.16.0 ==="
    assert log.index("[E] [TRT] DequantizeLinear") < log.index(headings[-1])
    make("8.6")
    assert "10.16" not in (folder / "build.int8.log").read_text()


@pytest.mark.parametrize("field", ["cuda", "power_mode"])
def test_unknown_facts_always_rebuild(make, messages, field):
    partly_unknown = dataclasses.replace(DEVICE, **{field: "unknown"})
    make(device=partly_unknown)
    assert not make(device=partly_unknown).reused
    line = f"rebuilding, because this device does not report its {field}"
    assert any(line in each for each in messages)
    assert not list((Path.home() / ".cache").rglob("*.cache"))


def test_layers_of_an_earlier_build_are_not_reused(make, monkeypatch, messages):
    make()
    monkeypatch.setenv("STANDIN_NO_LAYERS", "1")
    engine = make(options=dataclasses.replace(INT8, batch=4))
    assert engine.layers == []
    assert "this TensorRT reports no layer types" in messages
