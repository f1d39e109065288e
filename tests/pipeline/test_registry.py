"""A registry: a real change is told once, and nothing else is."""

import os
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from pipeline.errors import InputError
from pipeline.registry import changes, note
from pipeline.store import Store
from tests.conftest import EXAMPLE, QUICK


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
    (entry / "run.yaml").write_text(yaml.safe_dump({**QUICK, "teacher": teacher, **sections}))
    shutil.copyfile(EXAMPLE / "teacher.safetensors", entry / "teacher.safetensors")
    return entry


def told(registry, store, meanwhile=lambda _: None):
    """What is told, and noted as such."""
    found = list(changes(str(registry), store, 10.0, sleep=meanwhile))
    for change in found:
        note(str(registry), store, change)
    return found


def test_a_teacher_is_told_once_with_its_targets(registry, store):
    add(registry, "other", targets=["local-cpu", "orin-nano", "thor@lab"])
    net, other = told(registry, store)
    assert (net.name, net.targets, net.refused) == ("net", ("local-cpu",), "")
    assert net.run_file == f"{registry}/net/run.yaml"
    assert {"local-cpu", "orin-nano", "orin-nano-8", "thor"} <= set(other.targets)
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
    assert (change.fingerprint, change.targets) == ("", ())
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
    (change,) = told(registry, store)
    assert "must lie beside it" in change.refused


def test_what_is_no_teacher_is_passed_by(registry, store):
    (registry / "README.md").write_text("our teachers")
    (registry / "notes").mkdir()
    (registry / "notes" / "ideas.txt").write_text("none")
    assert [change.name for change in told(registry, store)] == ["net"]


def test_a_registry_that_is_not_there(store, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        list(changes(str(tmp_path / "none"), store, 0.0))


def test_any_fsspec_url_will_do(store):
    import fsspec

    registry = "memory://teachers"
    fs = fsspec.filesystem("memory")
    section = {**QUICK["teacher"], "weights": "teacher.safetensors"}
    fs.pipe("/teachers/net/run.yaml", yaml.safe_dump({**QUICK, "teacher": section}).encode())
    fs.pipe("/teachers/net/teacher.safetensors", (EXAMPLE / "teacher.safetensors").read_bytes())
    (change,) = told(registry, store)
    assert (change.run_file, change.refused) == ("memory://teachers/net/run.yaml", "")
    assert told(registry, store) == []
