"""The Python way to an engine, with a stand-in for the bindings."""

import json
import os

import pytest

from targets.tensorrt.builders import bindings
from targets.tensorrt.builders.bindings import find_bindings
from targets.tensorrt.builders.choose import choose_builder
from targets.tensorrt.builders.trtexec import Trtexec
from targets.tensorrt.diagnosis.failures import BuildError
from targets.tensorrt.options import DLA_CALIBRATION_CACHE, BuildFiles, Options
from tests.support.graphs import quantized_convolution
from tests.support.quick_run import ROOT

STAND_IN = ROOT / "tests/support/bindings_stand_in"

DYNAMIC = (None, 3, 8, 8)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Builds with the stand-in of a version; gives what it was asked, its log and its layers."""

    def _asked(version, options, shape=DYNAMIC, fails=""):
        path = os.pathsep.join([str(STAND_IN), os.environ.get("PYTHONPATH", "")])
        monkeypatch.setenv("PYTHONPATH", path)
        monkeypatch.setenv("STANDIN_VERSION", version)
        monkeypatch.setenv("STANDIN_FAILS", fails)
        (tmp_path / "g.onnx").write_bytes(quantized_convolution().SerializeToString())
        names = ("g.onnx", "e.part", "t.cache", "l.json", "t.json")
        places = BuildFiles(*(tmp_path / name for name in names))
        found = find_bindings()
        assert found.version[:2] == tuple(map(int, version.split(".")))
        found.build(options, places, shape, tmp_path / "log", 60)
        return json.loads(places.engine.read_text())

    return _asked


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
def test_each_generation_is_asked_in_its_own_words(
    asked, version, typing, precision, network, flags
):
    built = asked(version, Options(precision, typing, batch=2, largest=8, workspace_mib=64))
    assert (built["network_flags"], built["flags"]) == (network, flags)
    assert built["graph"].endswith("g.onnx")
    assert built["pool"] == {"0": 64 << 20}
    assert built["profiles"] == [["images", [1, 3, 8, 8], [2, 3, 8, 8], [8, 3, 8, 8]]]
    assert built["profiling_verbosity"] == 2


def test_a_fixed_batch_needs_no_profile(asked):
    assert asked("10.3", Options("int8", "strong"), (1, 3, 8, 8))["profiles"] == []


def test_an_accelerator_falls_back_to_the_gpu(asked):
    built = asked("8.6", Options("fp16", "weak", dla_core=1), (1, 3, 8, 8))
    assert (built["default_device_type"], built["DLA_core"]) == (1, 1)
    assert 3 in built["flags"]
    assert "scales" not in built


def test_an_accelerator_is_asked_first_and_gets_its_scales_for_int8(asked, tmp_path):
    (tmp_path / DLA_CALIBRATION_CACHE).write_text("TRT-8600-EntropyCalibration2\n")
    built = asked("8.6", Options("int8", "weak", dla_core=0), (1, 3, 8, 8))
    assert built["scales"] == "TRT-8600-EntropyCalibration2\n"
    log = (tmp_path / "log").read_text()
    assert "[DLA] can run conv\n[DLA] cannot run softmax\n" in log


def test_the_timing_cache_grows_and_the_layers_are_kept(asked, tmp_path):
    for _ in range(2):
        asked("10.3", Options("int8", "strong"))
    assert (tmp_path / "t.cache").read_bytes() == b"++"
    assert json.loads((tmp_path / "l.json").read_text())["Layers"][0]["Name"] == "conv"
    assert not list(tmp_path.glob("*.build.json"))


def test_every_error_of_the_parser_is_told_with_its_node(asked, tmp_path):
    with pytest.raises(BuildError) as caught:
        asked("10.3", Options("int8", "strong"), fails="parse")
    assert caught.value.failure.kind == "unsupported-node"
    nodes = quantized_convolution().graph.node
    named = [f'node {i} ({nodes[i].op_type} -> "{nodes[i].output[0]}")' for i in range(4)]
    diagnosis = caught.value.failure.diagnosis
    assert diagnosis.startswith("TensorRT cannot read 5 nodes of the graph: ")
    for index, name in enumerate(named[:3]):
        reason = f"No importer registered for op: Mystery{index} and no plugin"
        assert f"{name}: {reason}" in diagnosis
    assert diagnosis.endswith("; and 2 more")
    log = (tmp_path / "log").read_text()
    assert log.count("[E] While parsing node number") == 5
    assert "Mystery3" in log and "the graph has no output" in log


def test_a_build_that_gives_nothing_is_no_engine(asked, tmp_path):
    with pytest.raises(BuildError):
        asked("10.3", Options("int8", "strong"), fails="build")
    assert not (tmp_path / "e.part").exists()


@pytest.mark.parametrize(
    ("trtexec", "builds"), [((10, 3, 0), bindings.Bindings), ((10, 16, 0), Trtexec)]
)
def test_bindings_of_another_tensorrt_than_trtexecs_do_not_build(monkeypatch, trtexec, builds):
    monkeypatch.setenv("PYTHONPATH", str(STAND_IN))
    monkeypatch.setenv("STANDIN_VERSION", "10.3")
    chosen = choose_builder(Trtexec("trtexec", trtexec, frozenset()))
    assert isinstance(chosen, builds)
    assert chosen.version == trtexec


def test_without_bindings_there_are_none(monkeypatch):
    monkeypatch.setattr(bindings, "VERSION_SCRIPT", "import a_module_that_is_not_there")
    assert find_bindings() is None
