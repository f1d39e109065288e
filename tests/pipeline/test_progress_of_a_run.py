"""Every part of a run that can take long reports its progress."""

from itertools import pairwise

import pytest

from pipeline.chain import run_chain
from pipeline.config.run_file import read_run_file
from pipeline.store.store import Store
from pipeline.training import resumable_training
from tests.support.quick_run import GENERATOR, write_run

SHORT = {
    "distill": {
        "budget": {"steps": 8},
        "overrides": {
            **{"batch": 16, "memory": 64, "student_steps": 4, "fresh_batches": 1},
            **{"warmup_rounds": 2, **GENERATOR},
        },
    },
    "quantize": {
        "budget": {"steps": 4},
        "overrides": {"batch": 16, "memory": 64, "student_steps": 2},
        "calibration_images": 128,
    },
    "gate": {"rounds": 2, "generators": 1},
}

PHASES = {
    "distill warm-up": 1,
    "distill": 2,
    "quantize: images": 128,
    "quantize: calibration": 4 * 128,
    "quantize": 2,
    "export": 2,
    "probe generator 1": 2,
    "probes 1": 2_000,
    "probe labels": 2_000,
    "hops": 3 * 2_000,
    "hops: layers": 32,
    "compile local-cpu: parity": 4 * 256,
    "compile local-cpu: timing": 110,
    "validate local-cpu": 2 * 2_000,
}
"""Every phase with its total."""


class Recorder:
    """Keeps the progress of each phase."""

    def __init__(self):
        self.phases = {}

    def say(self, line):
        pass

    def phase(self, name, done, total, losses):
        self.phases.setdefault(name, []).append((done, total))


def test_every_phase_starts_at_zero_and_ends_at_its_total(tmp_path, monkeypatch):
    monkeypatch.setattr(resumable_training, "SHOWN_INTERVAL_S", -1.0)
    recorder = Recorder()
    config = read_run_file(write_run(tmp_path, **SHORT))
    run_chain(config, Store(str(tmp_path / "store")), recorder)
    # All probes are compared only if the first ones differ too much.
    recorder.phases.pop("compile local-cpu: parity, all probes", None)
    assert recorder.phases.keys() == PHASES.keys()
    for name, shown in recorder.phases.items():
        assert shown[0] == (0, PHASES[name]), name
        assert shown[-1] == (PHASES[name], PHASES[name]), name
        assert all(one[0] < other[0] for one, other in pairwise(shown)), name
    # One generator step and four student steps.
    shown = [done for done, _ in recorder.phases["distill"]]
    assert shown == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1, 1.2, 1.4, 1.6, 1.8, 2])
