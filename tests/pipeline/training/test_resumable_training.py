import pytest
import torch
from safetensors.torch import load_file

from pipeline.chain import add_artifacts, chain, run_step
from pipeline.config.run_file import read_run_file
from pipeline.store.store import Store
from pipeline.training import checkpoint
from tests.support.quick_run import GENERATOR, write_run

SMALL = {"batch": 16, "memory": 64, **GENERATOR}


class Interrupting:
    """Interrupts a phase at a round, as a signal would."""

    def __init__(self, phase=None, at=0):
        self.lines, self._phase, self._at = [], phase, at

    def say(self, line):
        self.lines.append(line)

    def phase(self, name, done, total, losses):
        if name == self._phase and done == self._at:
            raise KeyboardInterrupt


def run_to(step_name, config, store, reporter):
    artifacts = {}
    for step in chain(config):
        record = run_step(step, config, artifacts, store, reporter)
        artifacts = add_artifacts(artifacts, step, record, config)
        if step.name == step_name:
            return record, store


def checkpoints(store):
    """Return the checkpoints; the workspace also has a heartbeat file."""
    return [kept for kept in store.checkpoints() if kept.place.endswith(".checkpoint")]


@pytest.mark.parametrize(
    ("step", "phase", "at", "role"),
    [
        ("distill", "distill", 2, "student"),
        ("fresh_generator", "fresh generator", 2, "fresh-generator"),
        ("quantize", "quantize", 3, "quantized"),
    ],
)
def test_interrupted_step_resumes_to_the_same_weights(tmp_path, monkeypatch, step, phase, at, role):
    monkeypatch.setattr(checkpoint, "SAVE_INTERVAL_S", 0.0)
    fresh = step == "fresh_generator"
    budgets = {
        "distill": {"budget": {"steps": 60}, "overrides": SMALL},
        "quantize": {
            "budget": {"steps": 30},
            "overrides": {
                "batch": 16,
                "memory": 64,
                "warmup_rounds": 4,
                **(GENERATOR if fresh else {}),
            },
            "calibration_images": 64,
            "method": "fresh" if fresh else "adversarial",
        },
    }
    config = read_run_file(write_run(tmp_path, **budgets))
    whole, store = run_to(step, config, Store(str(tmp_path / "whole")), Interrupting())
    broken = Store(str(tmp_path / "broken"))
    with pytest.raises(KeyboardInterrupt):
        run_to(step, config, broken, Interrupting(phase, at))
    second = Interrupting()
    resumed, _ = run_to(step, config, broken, second)
    assert f"{phase}: resuming from a checkpoint" in second.lines
    third = Interrupting()
    run_to(step, config, broken, third)
    assert f"{phase}: reused" in third.lines
    assert resumed.artifacts[role].sha256 == whole.artifacts[role].sha256
    weights = load_file(store.get(whole.artifacts[role], tmp_path))
    assert all(torch.isfinite(value).all() for value in weights.values())
    notes = [r.notes.get("fine-tuning", r.notes) for r in (whole, resumed)]
    assert notes[0]["cost"] == notes[1]["cost"]
    # Rounds after the last checkpoint are repeated; no point is missing or duplicated.
    assert len(notes[0]["curve"]) == len(notes[1]["curve"])
    assert not list((tmp_path / "broken").rglob("*.checkpoint"))


def test_resuming_on_another_machine_is_reported_as_not_bit_identical(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "UPLOAD_INTERVAL_S", 0.0)
    short = {"budget": {"steps": 60}, "overrides": SMALL}
    config = read_run_file(write_run(tmp_path, distill=short))
    remote = Store(f"memory://{tmp_path.name}")
    with pytest.raises(KeyboardInterrupt):
        run_to("distill", config, remote, Interrupting("distill", 2))
    assert len(checkpoints(remote)) == 1
    monkeypatch.setattr(checkpoint, "machine", lambda: "another machine")
    second = Interrupting()
    record, _ = run_to("distill", config, remote, second)
    (line,) = record.notes["health"]
    assert "not bit-identical" in line
    assert line in second.lines
    assert list(remote.checkpoints()) == []


def test_damaged_checkpoint_is_reported_and_training_starts_again(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SAVE_INTERVAL_S", 0.0)
    short = {"budget": {"steps": 60}, "overrides": SMALL}
    config = read_run_file(write_run(tmp_path, distill=short))
    store = Store(str(tmp_path / "store"))
    with pytest.raises(KeyboardInterrupt):
        run_to("distill", config, store, Interrupting("distill", 2))
    (kept,) = checkpoints(store)
    path = tmp_path / "store" / kept.place
    path.write_bytes(path.read_bytes()[:500])
    second = Interrupting()
    run_to("distill", config, store, second)
    assert any("the checkpoint is damaged, starting again" in line for line in second.lines)
