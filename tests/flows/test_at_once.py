"""Several people press the button: every step is done once, whoever does it."""

import shlex
from pathlib import Path

import pytest

from pipeline.bundle.opening import open_bundle
from pipeline.chain import chain
from pipeline.config.run_file import read_run_file
from tests.support.quick_run import write_run

pytestmark = pytest.mark.server

RUN = """
import sys
from flows.distill_and_quantize import distill_and_quantize
run_file, output = sys.argv[1:]
distill_and_quantize(run_file, output=output, return_state=True)
"""


def at_once(session, folder, seeds):
    """Runs that are started at once, a run file for each seed; their logs, and their bundles."""
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


def done_anew(logs, label):
    """Return in how many runs a step was not reused."""
    return sum(f"{label}: reused" not in log for log in logs)


def test_three_runs_of_the_same_do_each_step_once(session, tmp_path, same_bundle):
    logs, bundles = at_once(session, tmp_path, [71, 71, 71])
    labels = [step.label for step in chain(read_run_file(tmp_path / "0" / "run.yaml"))]
    # The teacher has no seed: an earlier test may have done that one.
    assert {label: done_anew(logs, label) for label in labels[1:]} == dict.fromkeys(labels[1:], 1)
    assert len({bundle["bundle"] for bundle in bundles}) == 1


@pytest.mark.slow
def test_twenty_runs_of_overlapping_work_do_each_distinct_step_once(session, tmp_path, same_bundle):
    """Four seeds, five runs of each; what has no seed is the same for all twenty."""
    logs, bundles = at_once(session, tmp_path, [80 + number % 4 for number in range(20)])
    labels = [step.label for step in chain(read_run_file(tmp_path / "0" / "run.yaml"))]
    assert {label: done_anew(logs, label) for label in labels[1:]} == dict.fromkeys(labels[1:], 4)
    assert len({bundle["bundle"] for bundle in bundles}) == 4
