"""Builds that fail as devices fail: named, with what helps, and nothing left behind."""

import dataclasses
from pathlib import Path

import pytest

from targets.tensorrt import build as building
from targets.tensorrt.builders.trtexec import find_trtexec
from targets.tensorrt.diagnosis.failures import BuildError
from targets.tensorrt.options import BuildFiles, UnsupportedError, timing_arguments
from tests.support.trtexec.install import DEVICE, install_trtexec_stand_in


@pytest.mark.parametrize(
    ("fails", "kind", "remedy"),
    [
        ("memory", "out-of-memory", "stop what else runs, or give `compile` a smaller --workspace"),
        ("node", "unsupported-node", "use a newer JetPack, or a student without that operator"),
        ("disk", "disk-full", "free some space where the engine is written"),
        ("dla", "no-dla-library", "install the package nvidia-l4t-dla-compiler"),
        ("zero", "zero-point", "export it again; `python -m targets lint GRAPH` names the nodes"),
        ("kernel", "no-implementation", "give `compile` a larger --workspace"),
        ("skipped", "refused", "see build.int8.log for all of it"),
        ("other", "refused", "see build.int8.log for all of it"),
        ("killed", "killed", "stop what else runs, or add swap"),
        ("crashed", "crashed", "report it with build.int8.log"),
        ("nothing", "no-engine", "see build.int8.log"),
        ("empty", "no-engine", "see build.int8.log"),
    ],
)
def test_a_failure_is_named_with_its_remedy_and_leaves_no_engine(make, folder, fails, kind, remedy):
    with pytest.raises(BuildError) as caught:
        make(fails=fails)
    assert caught.value.failure.kind == kind
    assert remedy in caught.value.failure.remedy
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.iterdir()] == ["build.int8.log"]
    assert not list((Path.home() / ".cache").rglob("*"))


def test_a_hung_build_is_stopped_and_tells_the_last_it_heard(make, folder, monkeypatch):
    monkeypatch.setattr(building, "BUILD_TIMEOUT_S", 1.5)
    with pytest.raises(BuildError) as caught:
        make(fails="hung")
    failure = caught.value.failure
    assert (failure.kind, failure.transient) == ("hung", True)
    assert "stopped after 1.5 s, the last it said was: [I] pid" in failure.diagnosis
    assert "hold the clocks" in failure.remedy
    assert [path.name for path in folder.iterdir()] == ["build.int8.log"]


def test_every_node_that_the_parser_refuses_is_told(make):
    with pytest.raises(BuildError) as caught:
        make(fails="node")
    diagnosis = caught.value.failure.diagnosis
    assert diagnosis.startswith("TensorRT cannot read 2 nodes of the graph: ")
    assert 'node 2 (Mystery -> "41"): Plugin not found' in diagnosis
    assert 'node 5 (Riddle -> "44"): Plugin not found' in diagnosis


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


def test_what_may_pass_is_not_tried_the_other_way(make, said):
    with pytest.raises(BuildError):
        make("10.3", fails="memory")
    assert not any("trying" in line for line in said)


def test_a_graph_above_the_parsers_opset_is_refused_before_it_is_built(make, folder):
    with pytest.raises(UnsupportedError, match=r"opset 17 is above 13.* JetPack 6\.1 reads"):
        make(device=dataclasses.replace(DEVICE, opset=13))
    assert [path.name for path in folder.iterdir()] == ["build.int8.log"]


@pytest.mark.parametrize(("compute", "version"), [("8.6", "8.5"), ("8.7", "8.6")])
def test_an_engine_of_another_gpu_or_tensorrt_does_not_run(
    make, monkeypatch, tmp_path, compute, version
):
    engine = make("8.5")
    install_trtexec_stand_in(monkeypatch, tmp_path, version)
    monkeypatch.setenv("STANDIN_COMPUTE", compute)
    places = BuildFiles(tmp_path, engine.path, tmp_path, tmp_path, tmp_path / "times.json")
    arguments = timing_arguments(engine.options, places, engine.shape)
    with pytest.raises(BuildError) as caught:
        find_trtexec().run(arguments, tmp_path / "time.log", 60)
    assert caught.value.failure.kind == "foreign-engine"
    assert "remove it and compile again on this device" in str(caught.value)


def test_no_trtexec_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="nowhere to be found; install the package tensorrt"):
        find_trtexec()
