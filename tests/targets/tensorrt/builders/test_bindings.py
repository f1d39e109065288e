"""Builds with the Python bindings, with a stand-in for them."""

import json
import os

import pytest

from targets.tensorrt.builders import bindings
from targets.tensorrt.builders.bindings import find_bindings
from targets.tensorrt.builders.choose import choose_builder
from targets.tensorrt.builders.trtexec import Trtexec
from targets.tensorrt.diagnosis.failure import BuildError
from targets.tensorrt.options import DLA_CALIBRATION_CACHE, BuildFiles, Options
from tests.support.graphs import quantized_convolution
from tests.support.quick_run import ROOT

STAND_IN = ROOT / "tests/support/bindings_stand_in"

DYNAMIC = (None, 3, 8, 8)


@pytest.fixture
def build(monkeypatch, tmp_path):
    """Return a function that builds with a version's stand-in and returns the settings it got."""

    def _build(version, options, shape=DYNAMIC, fails=""):
        path = os.pathsep.join([str(STAND_IN), os.environ.get("PYTHONPATH", "")])
        monkeypatch.setenv("PYTHONPATH", path)
        monkeypatch.setenv("STANDIN_VERSION", version)
        monkeypatch.setenv("STANDIN_FAILS", fails)
        (tmp_path / "g.onnx").write_bytes(quantized_convolution().SerializeToString())
        names = ("g.onnx", "e.part", "t.cache", "l.json", "t.json")
        files = BuildFiles(*(tmp_path / name for name in names))
        found = find_bindings()
        assert found.version[:2] == tuple(map(int, version.split(".")))
        found.build(options, files, shape, tmp_path / "log", 60)
        return json.loads(files.engine.read_text())

    return _build


@pytest.mark.parametrize(
    ("version", "typing", "precision", "network", "flags"),
    [
        ("8.5", "weak", "int8", 0b01, [1, 0]),
        ("8.6", "weak", "fp16", 0b01, [0]),
        ("10.3", "strong", "int8", 0b11, []),
        ("10.3", "weak", "int8", 0b01, [1, 0]),
        ("11.1", "strong", "fp16", 0b10, []),
    ],
)
def test_build_passes_the_settings_of_each_version(
    build, version, typing, precision, network, flags
):
    built = build(version, Options(precision, typing, batch=2, largest=8, workspace_mib=64))
    assert (built["network_flags"], built["flags"]) == (network, flags)
    assert built["graph"].endswith("g.onnx")
    assert built["pool"] == {"0": 64 << 20}
    assert built["profiles"] == [["images", [1, 3, 8, 8], [2, 3, 8, 8], [8, 3, 8, 8]]]
    assert built["profiling_verbosity"] == 2


def test_fixed_batch_has_no_optimization_profile(build):
    assert build("10.3", Options("int8", "strong"), (1, 3, 8, 8))["profiles"] == []


def test_dla_build_allows_gpu_fallback(build):
    built = build("8.6", Options("fp16", "weak", dla_core=1), (1, 3, 8, 8))
    assert (built["default_device_type"], built["DLA_core"]) == (1, 1)
    assert 3 in built["flags"]
    assert "scales" not in built


def test_dla_int8_build_logs_support_and_gets_the_scales(build, tmp_path):
    (tmp_path / DLA_CALIBRATION_CACHE).write_text("TRT-8600-EntropyCalibration2\n")
    built = build("8.6", Options("int8", "weak", dla_core=0), (1, 3, 8, 8))
    assert built["scales"] == "TRT-8600-EntropyCalibration2\n"
    log = (tmp_path / "log").read_text()
    assert "[DLA] can run conv\n[DLA] cannot run softmax\n" in log


def test_build_updates_the_timing_cache_and_writes_layers(build, tmp_path):
    for _ in range(2):
        build("10.3", Options("int8", "strong"))
    assert (tmp_path / "t.cache").read_bytes() == b"++"
    assert json.loads((tmp_path / "l.json").read_text())["Layers"][0]["Name"] == "conv"
    assert not list(tmp_path.glob("*.build.json"))


def test_every_parser_error_is_logged_with_its_node(build, tmp_path):
    with pytest.raises(BuildError) as caught:
        build("10.3", Options("int8", "strong"), fails="parse")
    assert caught.value.failure.kind == "unsupported-node"
    nodes = quantized_convolution().graph.node
    named = [f'node {i} ({nodes[i].op_type} -> "{nodes[i].output[0]}")' for i in range(4)]
    diagnosis = caught.value.failure.diagnosis
    assert diagnosis.startswith("TensorRT cannot parse 5 nodes of the graph: ")
    for index, name in enumerate(named[:3]):
        reason = f"No importer registered for op: Mystery{index} and no plugin"
        assert f"{name}: {reason}" in diagnosis
    assert diagnosis.endswith("; and 2 more")
    log = (tmp_path / "log").read_text()
    assert log.count("[E] While parsing node number") == 5
    assert "Mystery3" in log and "the graph has no output" in log


def test_failed_build_writes_no_engine(build, tmp_path):
    with pytest.raises(BuildError):
        build("10.3", Options("int8", "strong"), fails="build")
    assert not (tmp_path / "e.part").exists()


@pytest.mark.parametrize(
    ("trtexec", "builds"), [((10, 3, 0), bindings.Bindings), ((10, 16, 0), Trtexec)]
)
def test_choose_builder_needs_bindings_of_trtexecs_version(monkeypatch, trtexec, builds):
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    monkeypatch.setenv("STANDIN_VERSION", "10.3")
    chosen = choose_builder(Trtexec("trtexec", trtexec, frozenset()))
    assert isinstance(chosen, builds)
    assert chosen.version == trtexec


def test_find_bindings_returns_none_without_tensorrt(monkeypatch):
    monkeypatch.setattr(bindings, "VERSION_SCRIPT", "import a_module_that_is_not_there")
    assert find_bindings() is None
