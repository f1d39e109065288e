"""A registry: a real change is told once, and nothing else is."""

import os
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from base.errors import InputError
from pipeline.store.store import Store
from pipeline.teachers.registry import changes, note
from tests.support.quick_run import EXAMPLE, QUICK


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def registry(tmp_path):
    """One teacher, called net."""
    add(tmp_path / "registry", "net")
    return tmp_path / "registry"


def add(registry, name, weights="teacher.safetensors", **sections):
    entry = registry / name
    entry.mkdir(parents=True, exist_ok=True)
    teacher = {**QUICK["teacher"], "weights": weights}
    run = {**QUICK, "name": name, "teacher": teacher, **sections}
    (entry / "run.yaml").write_text(yaml.safe_dump(run))
    shutil.copyfile(EXAMPLE / "teacher.safetensors", entry / "teacher.safetensors")
    return entry


def told(registry, store, meanwhile=lambda _: None):
    """What is told, and noted as such."""
    found = list(changes(str(registry), store, 10.0, print, sleep=meanwhile))
    for change in found:
        note(str(registry), store, change)
    return found


def test_a_teacher_is_told_once_with_its_targets(registry, store):
    add(registry, "other", targets=["local-cpu", "orin-nx", "orin-nx-dla0", "thor@lab"])
    net, other = told(registry, store)
    assert (net.name, net.targets, net.refused) == ("net", {"local-cpu": ["local-cpu"]}, "")
    assert net.run_file == f"{registry}/net/run.yaml"
    assert other.targets["orin-nx"] == other.targets["orin-nx-16"] == ["orin-nx", "orin-nx-dla0"]
    assert other.targets["thor"] == ["thor@lab"]
    assert net.fingerprint != other.fingerprint
    assert told(registry, store) == []


def test_a_touched_file_and_the_same_file_once_more_are_no_change(registry, store):
    told(registry, store)
    weights = registry / "net" / "teacher.safetensors"
    os.utime(weights, (1, 1))
    assert told(registry, store) == []
    save_file(load_file(weights), weights, metadata={"saved": "again"})
    assert told(registry, store) == []


@pytest.mark.parametrize("what", ["weights", "run file"])
def test_other_weights_or_another_run_file_are_a_change(registry, store, what):
    (before,) = told(registry, store)
    entry = registry / "net"
    if what == "weights":
        state = load_file(entry / "teacher.safetensors")
        first = sorted(state)[0]
        save_file({**state, first: state[first] + 0.001}, entry / "teacher.safetensors")
    else:
        add(registry, "net", seed=5)
    (after,) = told(registry, store)
    assert after.fingerprint != before.fingerprint
    assert told(registry, store) == []


def test_what_is_still_being_written_is_left_for_the_next_time(registry, store):
    whole = (registry / "net" / "teacher.safetensors").read_bytes()
    half = registry / "net" / "teacher.safetensors"
    half.write_bytes(whole[:1000])
    assert told(registry, store, meanwhile=lambda _: half.write_bytes(whole)) == []
    (change,) = told(registry, store)
    assert not change.refused


def test_a_broken_teacher_is_refused_once_with_the_reason(registry, store):
    told(registry, store)
    weights = registry / "net" / "teacher.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    (change,) = told(registry, store)
    assert "damaged safetensors file" in change.refused
    assert (change.fingerprint, change.targets) == ("", {})
    assert told(registry, store) == []
    weights.write_bytes(whole)
    (mended,) = told(registry, store)
    assert not mended.refused


def test_a_teacher_of_other_classes_and_a_wrong_run_file_are_refused(registry, store):
    add(registry, "net", input={**QUICK["input"], "shape": [3, 32, 32]})
    add(registry, "typo", stundent="same")
    torch.save({"weight": torch.zeros(3)}, add(registry, "code", "x.pt") / "x.pt")
    reasons = {change.name: change.refused for change in told(registry, store)}
    assert "mean has 1 values for 3 channels" in reasons["net"]
    assert "unknown key 'stundent'" in reasons["typo"]
    assert "the weights are not those of lenet5" in reasons["code"]


def test_one_bad_teacher_stops_no_other(registry, store):
    """This one is torchvision's, and wants two images."""
    teacher = {**QUICK["teacher"], "architecture": "raft_large", "weights": "teacher.safetensors"}
    add(registry, "a-bad", teacher=teacher)
    bad, net = told(registry, store)
    assert (bool(bad.refused), net.refused) == (True, "")
    assert "\n" not in bad.refused


def test_two_folders_of_one_name_are_not_two_teachers(registry, store):
    shutil.copytree(registry / "net", registry / "copy")
    copy, net = told(registry, store)
    assert "name must be that of its folder, 'copy'" in copy.refused
    assert not net.refused


def test_what_cannot_be_reached_is_left_for_the_next_time(registry, store, monkeypatch):
    def breaks(url):
        raise OSError("nobody answers")

    with monkeypatch.context() as offline:
        offline.setattr("pipeline.teachers.network_checks.read_weights", breaks)
        assert told(registry, store) == []
    (change,) = told(registry, store)
    assert not change.refused


def test_new_code_looks_again_and_tells_only_what_it_sees_otherwise(registry, store, monkeypatch):
    (registry / "net" / "teacher.safetensors").write_bytes(b"broken")
    add(registry, "fine")
    assert len(told(registry, store)) == 2
    monkeypatch.setattr("pipeline.teachers.registry.code_digest", lambda module: "newer")
    assert told(registry, store) == []
    monkeypatch.setattr("pipeline.teachers.registry.code_digest", lambda module: "newest")
    monkeypatch.setattr(
        "pipeline.teachers.network_checks.check_student", lambda config, student: None
    )
    assert told(registry, store) == []


def test_who_looks_needs_no_gpu_where_a_run_does(registry, store):
    place = registry / "net" / "run.yaml"
    place.write_text(yaml.safe_dump({**yaml.safe_load(place.read_text()), "device": "cuda"}))
    (change,) = told(registry, store)
    assert not change.refused


@pytest.mark.parametrize("weights", ["../other/teacher.safetensors", "/tmp/teacher.safetensors"])
def test_weights_that_lie_elsewhere_are_refused(registry, store, weights):
    add(registry, "other")
    add(registry, "net", weights)
    net, _ = told(registry, store)
    assert "must lie beside it" in net.refused


def test_a_link_out_of_the_registry_is_elsewhere_too(registry, store, tmp_path):
    weights = registry / "net" / "teacher.safetensors"
    weights.rename(tmp_path / "teacher.safetensors")
    weights.symlink_to(tmp_path / "teacher.safetensors")
    for place in (str(registry), f"file://{registry}"):
        (change,) = told(place, store)
        assert "must lie beside it" in change.refused


def test_what_is_no_teacher_is_passed_by(registry, store):
    (registry / "README.md").write_text("our teachers")
    (registry / "notes").mkdir()
    (registry / "notes" / "ideas.txt").write_text("none")
    assert [change.name for change in told(registry, store)] == ["net"]


def test_a_registry_that_is_not_there(store, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        list(changes(str(tmp_path / "none"), store, 0.0, print))


def test_any_fsspec_url_will_do(store):
    import fsspec

    registry = "memory://teachers"
    fs = fsspec.filesystem("memory")
    section = {**QUICK["teacher"], "weights": "teacher.safetensors"}
    run = {**QUICK, "name": "net", "teacher": section}
    fs.pipe("/teachers/net/run.yaml", yaml.safe_dump(run).encode())
    fs.pipe("/teachers/net/teacher.safetensors", (EXAMPLE / "teacher.safetensors").read_bytes())
    (change,) = told(registry, store)
    assert (change.run_file, change.refused) == ("memory://teachers/net/run.yaml", "")
    assert told(registry, store) == []
