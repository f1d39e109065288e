"""Measure a run whose steps are all reused, and which steps a change repeats.

python -m benchmarks.robustness.cached_runs

First in one process; then through a real Prefect server and worker, in turns with a flow that does
nothing.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.machine import describe_machine
from benchmarks.result_pages import RESULTS, markdown_table
from pipeline.chain import chain
from pipeline.config.run_file import read_run_file
from pipeline.run import execute
from pipeline.store.store import Store
from pipeline.training.progress import LineReporter
from tests.support.quick_run import QUICK, write_run
from tests.support.session import Session, free_port

SAME = {"name": "same", "student": "same"}
"""A run file that is quick and passes its gate."""

REUSED = ": reused"
"""End of the progress line of a step that is reused."""

CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "another target": {"targets": ["arm-dotprod"]},
    "the gate": {"gate": {**QUICK["gate"], "agreement": 0.8}},
    "the batch": {"export": {"batch": 4}},
    "the seed": {"seed": 1},
}
"""What is changed after a finished run: a name for the table, and sections of the run file."""


def run_in_process(folder: Path, store: Store, **changes: Any) -> tuple[float, list[str]]:
    """Return the seconds of a run, without the start of Python, and the steps it executed."""
    config = read_run_file(write_run(folder, **SAME, **changes))
    lines: list[str] = []
    started = time.monotonic()
    manifest = execute(config, store, folder / "bundle", LineReporter(lines.append))
    assert manifest["verdict"]
    seconds = time.monotonic() - started
    reused = {line.removesuffix(REUSED) for line in lines if line.endswith(REUSED)}
    return seconds, [step.label for step in chain(config) if step.label not in reused]


@contextmanager
def prefect_session(home: Path, store: Path) -> Iterator[Session]:
    """Start a server and a worker, and deploy both flows."""
    url = f"http://127.0.0.1:{free_port()}/api"
    session = Session(home, url, store, PREFECT_API_URL=url)
    try:
        session.serve()
        session.start("prefect worker start --pool local")
        session.run(
            "prefect --no-prompt deploy benchmarks/robustness/empty_flow.py:empty "
            "--name local --pool local"
        )
        yield session
    finally:
        session.close()


def time_flow_runs(folder: Path, store: Path, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of commands that start a flow run and wait for it, in turns."""
    run_file = write_run(folder, **SAME)
    parameters = f"--param run_file={run_file} --param output={folder / 'bundle'}"
    commands = {
        "empty": "prefect deployment run empty/local --watch",
        "all found done": (
            f"prefect deployment run distill-and-quantize/local-cpu --watch {parameters}"
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}

    def record_times() -> dict[str, float]:
        return {str(path): path.stat().st_mtime for path in store.glob("steps/*/*.json")}

    before = record_times()
    with prefect_session(folder, store) as session:
        for turn in range(rounds + 1):
            for name, command in commands.items():
                started = time.monotonic()
                session.run(command)
                assert record_times() == before, "a step was repeated"
                if turn:  # The first turn fills the disk cache.
                    seconds[name].append(round(time.monotonic() - started, 2))
    return seconds


def main(
    rounds: Annotated[int, typer.Option(help="Runs of each flow, in turns.")] = 5,
) -> None:
    """Measure; write results/cached_runs.json and cached_runs.md."""
    with tempfile.TemporaryDirectory() as name:
        folder, store_folder = Path(name), Path(name) / "store"
        store = Store(str(store_folder))
        first_s, _ = run_in_process(folder, store)
        changed = {
            what: dict(zip(("seconds", "done"), run_in_process(folder, store, **it), strict=True))
            for what, it in CHANGES.items()
        }
        (home := folder / "home").mkdir()
        worker = time_flow_runs(home, store_folder, rounds)
    result = {"first": first_s, "changes": changed, "worker": worker, "machine": describe_machine()}
    (RESULTS / "cached_runs.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "cached_runs.md").write_text(render(result))


def render(result: dict[str, Any]) -> str:
    """Return the page as Markdown."""
    body = [
        [what, ", ".join(row["done"]) or "none", f"{row['seconds']:.2f}"]
        for what, row in result["changes"].items()
    ]
    rounds = len(result["worker"]["empty"])
    empty, reused = (statistics.median(result["worker"][name]) for name in result["worker"])
    return (
        "# Runs whose steps are reused\n\n"
        f"The first run took {result['first']:.0f} s. After it, one thing is changed in the run "
        "file and the run is repeated with the same store. Seconds are those of checking the run "
        "file, of all steps and of writing the bundle, without the start of Python.\n\n"
        + markdown_table(["changed in the run file", "steps executed", "seconds"], body)
        + f"\n\nThrough a Prefect worker, from the command to its end, medians of {rounds} turns: "
        f"a flow that does nothing takes {empty:.2f} s, a run that reuses every step "
        f"{reused:.2f} s, which is {reused - empty:.2f} s more.\n\n"
        f"Command: `python -m benchmarks.robustness.cached_runs --rounds {rounds}`. "
        f"Machine: {result['machine']}.\n"
    )


if __name__ == "__main__":
    typer.run(main)
