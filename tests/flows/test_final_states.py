"""The final state of a flow run, without a server."""

import logging

import pytest

from flows import distill_and_quantize as flows
from tests.support.quick_run import write_run

BUILT = {"engine": "built"}

PENDING = {"engine": "pending", "because": "no worker", "build": "..."}


@pytest.mark.parametrize(
    ("outcome", "entry", "kind", "name"),
    [
        ("pass", BUILT, "COMPLETED", "Completed"),
        ("pass", PENDING, "COMPLETED", "Pending engine"),
        ("fail", PENDING, "FAILED", "Fail"),
        ("inconclusive", BUILT, "FAILED", "Inconclusive"),
    ],
)
def test_state_depends_on_verdict_and_engines(tmp_path, monkeypatch, outcome, entry, kind, name):
    verdict = {"outcome": outcome, "because": "...", "agreement": 0.95, "images": 2000}
    manifest = {"verdict": verdict, "engines": {"thor": entry}}
    monkeypatch.setattr(flows, "_run", lambda *_: manifest)
    monkeypatch.setattr(flows, "next_step", lambda _: "train longer")
    monkeypatch.setattr(flows, "get_run_logger", lambda: logging.getLogger("flow"))
    run_file, output = str(write_run(tmp_path)), str(tmp_path / "bundle")
    state = flows.distill_and_quantize.fn(run_file, output=output)
    assert (state.type.value, state.name) == (kind, name)
    assert state.name in flows.VERDICT_STATES
    assert ("next: train longer" in state.message) == (kind == "FAILED")
    assert ("not released for thor: engine pending" in state.message) == (name == "Pending engine")
