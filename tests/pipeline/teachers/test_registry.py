"""The registry of teachers: each real change is found once, and nothing else is."""

import os
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from base.errors import InputError
from pipeline.store.store import Store
from pipeline.teachers.registry import find_changes, record_change
from tests.support.quick_run import EXAMPLE, QUICK


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path / "store"))


@pytest.fixture
def registry(tmp_path):
    """A registry with one teacher, named net."""
    add_teacher(tmp_path / "registry", "net")
    return tmp_path / "registry"


def add_teacher(registry, name, weights="teacher.safetensors", **sections):
    """Write the run file and the weights of a teacher; return its folder."""
    entry = registry / name
    entry.mkdir(parents=True, exist_ok=True)
    teacher = {**QUICK["teacher"], "weights": weights}
    run = {**QUICK, "name": name, "teacher": teacher, **sections}
    (entry / "run.yaml").write_text(yaml.safe_dump(run))
    shutil.copyfile(EXAMPLE / "teacher.safetensors", entry / "teacher.safetensors")
    return entry


def announce_changes(registry, store, during_pause=lambda _: None):
    """Return the changes, and record each as announced."""
    found = list(find_changes(str(registry), store, 10.0, print, sleep=during_pause))
    for change in found:
        record_change(str(registry), store, change)
    return found


def test_new_teacher_is_found_once_with_its_targets(registry, store):
    add_teacher(registry, "other", targets=["local-cpu", "orin-nx", "orin-nx-dla0", "thor@lab"])
    net, other = announce_changes(registry, store)
    assert (net.name, net.targets, net.refused) == ("net", {"local-cpu": ["local-cpu"]}, "")
    assert net.run_file == f"{registry}/net/run.yaml"
    assert other.targets["orin-nx"] == other.targets["orin-nx-16"] == ["orin-nx", "orin-nx-dla0"]
    assert other.targets["thor"] == ["thor@lab"]
    assert net.fingerprint != other.fingerprint
    assert announce_changes(registry, store) == []


def test_new_timestamp_or_same_weights_saved_again_are_no_change(registry, store):
    announce_changes(registry, store)
    weights = registry / "net" / "teacher.safetensors"
    os.utime(weights, (1, 1))
    assert announce_changes(registry, store) == []
    save_file(load_file(weights), weights, metadata={"saved": "again"})
    assert announce_changes(registry, store) == []


@pytest.mark.parametrize("changed", ["weights", "run file"])
def test_new_weights_or_run_file_are_a_change(registry, store, changed):
    (before,) = announce_changes(registry, store)
    entry = registry / "net"
    if changed == "weights":
        state = load_file(entry / "teacher.safetensors")
        first = sorted(state)[0]
        save_file({**state, first: state[first] + 0.001}, entry / "teacher.safetensors")
    else:
        add_teacher(registry, "net", seed=5)
    (after,) = announce_changes(registry, store)
    assert after.fingerprint != before.fingerprint
    assert announce_changes(registry, store) == []


def test_teacher_still_being_written_is_left_for_next_call(registry, store):
    whole = (registry / "net" / "teacher.safetensors").read_bytes()
    half = registry / "net" / "teacher.safetensors"
    half.write_bytes(whole[:1000])
    assert announce_changes(registry, store, during_pause=lambda _: half.write_bytes(whole)) == []
    (change,) = announce_changes(registry, store)
    assert not change.refused


def test_damaged_teacher_is_refused_once_with_reason(registry, store):
    announce_changes(registry, store)
    weights = registry / "net" / "teacher.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-100])
    (change,) = announce_changes(registry, store)
    assert "damaged safetensors file" in change.refused
    assert (change.fingerprint, change.targets) == ("", {})
    assert announce_changes(registry, store) == []
    weights.write_bytes(whole)
    (repaired,) = announce_changes(registry, store)
    assert not repaired.refused


def test_teacher_that_does_not_fit_its_run_file_is_refused(registry, store):
    add_teacher(registry, "net", input={**QUICK["input"], "shape": [3, 32, 32]})
    add_teacher(registry, "typo", stundent="same")
    torch.save({"weight": torch.zeros(3)}, add_teacher(registry, "code", "x.pt") / "x.pt")
    reasons = {change.name: change.refused for change in announce_changes(registry, store)}
    assert "mean has 1 values for 3 channels" in reasons["net"]
    assert "unknown key 'stundent'" in reasons["typo"]
    assert "the weights are not those of lenet5" in reasons["code"]


def test_refused_teacher_does_not_stop_others(registry, store):
    """torchvision's raft_large takes two images, so running it raises an error of torch."""
    teacher = {**QUICK["teacher"], "architecture": "raft_large", "weights": "teacher.safetensors"}
    add_teacher(registry, "a-bad", teacher=teacher)
    bad, net = announce_changes(registry, store)
    assert (bool(bad.refused), net.refused) == (True, "")
    assert "\n" not in bad.refused


def test_copied_folder_with_old_name_is_refused(registry, store):
    shutil.copytree(registry / "net", registry / "copy")
    copy, net = announce_changes(registry, store)
    assert "must be 'copy', the name of its folder" in copy.refused
    assert not net.refused


def test_unreachable_teacher_is_left_for_next_call(registry, store, monkeypatch):
    def fail(url):
        raise OSError("no response")

    with monkeypatch.context() as offline:
        offline.setattr("pipeline.teachers.network_checks.read_weights", fail)
        assert announce_changes(registry, store) == []
    (change,) = announce_changes(registry, store)
    assert not change.refused


def test_new_code_checks_all_teachers_again_and_reports_only_changes(registry, store, monkeypatch):
    (registry / "net" / "teacher.safetensors").write_bytes(b"broken")
    add_teacher(registry, "fine")
    assert len(announce_changes(registry, store)) == 2
    monkeypatch.setattr("pipeline.teachers.registry.code_digest", lambda module: "newer")
    assert announce_changes(registry, store) == []
    monkeypatch.setattr("pipeline.teachers.registry.code_digest", lambda module: "newest")
    monkeypatch.setattr(
        "pipeline.teachers.network_checks.check_student", lambda config, student: None
    )
    assert announce_changes(registry, store) == []


def test_checking_needs_no_gpu_if_run_file_requests_one(registry, store):
    path = registry / "net" / "run.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "device": "cuda"}))
    (change,) = announce_changes(registry, store)
    assert not change.refused


@pytest.mark.parametrize("weights", ["../other/teacher.safetensors", "/other/teacher.safetensors"])
def test_weights_outside_teachers_folder_are_refused(registry, store, weights):
    add_teacher(registry, "other")
    add_teacher(registry, "net", weights)
    net, _ = announce_changes(registry, store)
    assert "must be in the run file's folder" in net.refused


def test_link_to_weights_outside_registry_is_refused(registry, store, tmp_path):
    weights = registry / "net" / "teacher.safetensors"
    weights.rename(tmp_path / "teacher.safetensors")
    weights.symlink_to(tmp_path / "teacher.safetensors")
    for url in (str(registry), f"file://{registry}"):
        (change,) = announce_changes(url, store)
        assert "must be in the run file's folder" in change.refused


def test_files_and_folders_without_run_file_are_ignored(registry, store):
    (registry / "README.md").write_text("our teachers")
    (registry / "notes").mkdir()
    (registry / "notes" / "ideas.txt").write_text("none")
    assert [change.name for change in announce_changes(registry, store)] == ["net"]


def test_missing_registry_is_refused(store, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        list(find_changes(str(tmp_path / "none"), store, 0.0, print))


def test_registry_can_be_any_fsspec_url(store):
    import fsspec

    registry = "memory://teachers"
    fs = fsspec.filesystem("memory")
    section = {**QUICK["teacher"], "weights": "teacher.safetensors"}
    run = {**QUICK, "name": "net", "teacher": section}
    fs.pipe("/teachers/net/run.yaml", yaml.safe_dump(run).encode())
    fs.pipe("/teachers/net/teacher.safetensors", (EXAMPLE / "teacher.safetensors").read_bytes())
    (change,) = announce_changes(registry, store)
    assert (change.run_file, change.refused) == ("memory://teachers/net/run.yaml", "")
    assert announce_changes(registry, store) == []
