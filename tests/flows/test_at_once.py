"""Several runs at the same time: each step is done once."""

import shlex
from pathlib import Path

import pytest

from pipeline.bundle.opening import open_bundle
from pipeline.chain import chain
from pipeline.config.run_file import read_run_file
from pipeline.reporter import shown_name
from tests.support.quick_run import write_run

pytestmark = pytest.mark.server

RUN = """
import sys
from flows.distill_and_quantize import distill_and_quantize
run_file, output = sys.argv[1:]
distill_and_quantize(run_file, output=output, return_state=True)
"""


def run_at_once(session, folder, seeds):
    """Start one run for each seed at the same time; return their logs and their manifests."""
    started = []
    for number, seed in enumerate(seeds):
        (own := folder / str(number)).mkdir()
        run_file = write_run(own, name=f"at-once-{number}", student="same", seed=seed)
        arguments = shlex.join(["-c", RUN, str(run_file), str(own / "bundle")])
        process = session.start(f"python {arguments}")
        started.append((process, session.home / f"{len(session.running) - 1}.log", own))
    for process, _, _ in started:
        assert process.wait(800) == 0, session.log()
    logs = [Path(log).read_text() for _, log, _ in started]
    return logs, [open_bundle(own / "bundle") for _, _, own in started]


def times_done(logs, folder):
    """Return how many runs did each step and did not reuse it.

    The teacher step is left out: it has no seed, so an earlier test may have done it.
    """
    steps = chain(read_run_file(folder / "0" / "run.yaml"))
    labels = [shown_name(step.label) for step in steps]
    return {label: sum(f"{label}: reused" not in log for log in logs) for label in labels[1:]}


def test_three_equal_runs_do_each_step_once(session, tmp_path, same_bundle):
    logs, bundles = run_at_once(session, tmp_path, [71, 71, 71])
    assert set(times_done(logs, tmp_path).values()) == {1}
    assert len({bundle["bundle"] for bundle in bundles}) == 1


@pytest.mark.slow
def test_twenty_overlapping_runs_do_each_distinct_step_once(session, tmp_path, same_bundle):
    """Four seeds and five runs of each; steps without a seed are the same for all runs."""
    logs, bundles = run_at_once(session, tmp_path, [80 + number % 4 for number in range(20)])
    assert set(times_done(logs, tmp_path).values()) == {4}
    assert len({bundle["bundle"] for bundle in bundles}) == 4
