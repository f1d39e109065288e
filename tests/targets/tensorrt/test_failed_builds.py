"""Failed builds: named, with a remedy, and without leftover files."""

import dataclasses
from pathlib import Path

import pytest

from targets.tensorrt import build as build_module
from targets.tensorrt.builders.trtexec import find_trtexec
from targets.tensorrt.builders.trtexec_arguments import timing_arguments
from targets.tensorrt.diagnosis.failure import BuildError
from targets.tensorrt.options import BuildFiles, UnsupportedError
from tests.support.trtexec.install import DEVICE, install_trtexec_stand_in


@pytest.mark.parametrize(
    ("fails", "kind", "remedy"),
    [
        ("memory", "out-of-memory", "stop other programs, or give `compile` a smaller --workspace"),
        ("node", "unsupported-node", "use a newer JetPack, or a student without that operator"),
        ("disk", "disk-full", "free disk space in the folder of the engine"),
        ("dla", "no-dla-library", "install the package nvidia-l4t-dla-compiler"),
        ("zero", "zero-point", "export it again; `python -m targets lint GRAPH` lists the nodes"),
        ("kernel", "no-implementation", "give `compile` a larger --workspace"),
        ("skipped", "refused", "see build.int8.log for the full output"),
        ("other", "refused", "see build.int8.log for the full output"),
        ("killed", "killed", "stop other programs, or add swap space"),
        ("crashed", "crashed", "report it with build.int8.log"),
        ("nothing", "no-engine", "see build.int8.log"),
        ("empty", "no-engine", "see build.int8.log"),
    ],
)
def test_failure_is_named_with_its_remedy_and_leaves_no_engine(make, folder, fails, kind, remedy):
    with pytest.raises(BuildError) as caught:
        make(fails=fails)
    assert caught.value.failure.kind == kind
    assert remedy in caught.value.failure.remedy
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.iterdir()] == ["build.int8.log"]
    assert not list((Path.home() / ".cache").rglob("*"))


def test_hung_build_is_stopped_and_its_last_output_quoted(make, folder, monkeypatch):
    monkeypatch.setattr(build_module, "BUILD_TIMEOUT_S", 1.5)
    with pytest.raises(BuildError) as caught:
        make(fails="hung")
    failure = caught.value.failure
    assert (failure.kind, failure.transient) == ("hung", True)
    assert "stopped after 1.5 s, last output: [I] pid" in failure.diagnosis
    assert "lock the clocks" in failure.remedy
    assert [path.name for path in folder.iterdir()] == ["build.int8.log"]


def test_diagnosis_lists_every_refused_node(make):
    with pytest.raises(BuildError) as caught:
        make(fails="node")
    diagnosis = caught.value.failure.diagnosis
    assert diagnosis.startswith("TensorRT cannot parse 2 nodes of the graph: ")
    assert 'node 2 (Mystery -> "41"): Plugin not found' in diagnosis
    assert 'node 5 (Riddle -> "44"): Plugin not found' in diagnosis


def test_unreadable_layer_table_is_reported_and_keeps_the_engine(make, messages):
    engine = make(fails="garbage")
    assert engine.layers == []
    assert "student.int8.layers.json: unreadable layer table" in messages


def test_failed_build_keeps_the_previous_engine(make):
    engine = make()
    before = engine.path.read_bytes()
    with pytest.raises(BuildError):
        make("8.6", fails="node")
    assert engine.path.read_bytes() == before


def test_transient_failure_does_not_try_another_typing_mode(make, messages):
    with pytest.raises(BuildError):
        make("10.3", fails="memory")
    assert not any("trying" in line for line in messages)


def test_too_high_opset_is_refused_before_the_build(make, folder):
    with pytest.raises(UnsupportedError, match=r"opset 17 is above 13.* JetPack 6\.1 reads"):
        make(device=dataclasses.replace(DEVICE, opset=13))
    assert [path.name for path in folder.iterdir()] == ["build.int8.log"]


@pytest.mark.parametrize(("compute", "version"), [("8.6", "8.5"), ("8.7", "8.6")])
def test_engine_of_another_gpu_or_tensorrt_does_not_run(
    make, monkeypatch, tmp_path, compute, version
):
    engine = make("8.5")
    install_trtexec_stand_in(monkeypatch, tmp_path, version)
    monkeypatch.setenv("STANDIN_COMPUTE", compute)
    files = BuildFiles(tmp_path, engine.path, tmp_path, tmp_path, tmp_path / "times.json")
    arguments = timing_arguments(engine.options, files, engine.shape)
    with pytest.raises(BuildError) as caught:
        find_trtexec().run(arguments, tmp_path / "time.log", 60)
    assert caught.value.failure.kind == "foreign-engine"
    assert "delete it and compile again on this device" in str(caught.value)
