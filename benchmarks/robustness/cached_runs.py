"""What a run costs that finds everything done, and which steps a partial change does anew.

python -m benchmarks.robustness.cached_runs

By hand, in one process; and on a real Prefect server with a real worker, in turns with a flow that
does nothing.
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

from benchmarks.machine import describe
from pipeline.chain import chain
from pipeline.config.run_file import read_run_file
from pipeline.run import execute
from pipeline.store.store import Store
from pipeline.training.progress import LineReporter
from tests.support.quick_run import QUICK, write_run
from tests.support.session import Session, free_port

RESULTS = Path(__file__).parents[1] / "results"

SAME = {"name": "same", "student": "same"}
"""Quick to do, and passes."""

CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "another target": {"targets": ["arm-dotprod"]},
    "the gate": {"gate": {**QUICK["gate"], "agreement": 0.8}},
    "the batch": {"export": {"batch": 4}},
    "the seed": {"seed": 1},
}
"""What is changed against a run that was done."""


def by_hand(folder: Path, store: Store, **changes: Any) -> tuple[float, list[str]]:
    """Seconds that a run takes, without the start of the interpreter, and the steps it did."""
    config = read_run_file(write_run(folder, **SAME, **changes))
    lines: list[str] = []
    started = time.monotonic()
    manifest = execute(config, store, folder / "bundle", LineReporter(lines.append))
    assert manifest["verdict"]
    seconds = time.monotonic() - started
    done = {line.removesuffix(": reused") for line in lines if line.endswith(": reused")}
    return seconds, [step.label for step in chain(config) if step.label not in done]


@contextmanager
def served(home: Path, store: Path) -> Iterator[Session]:
    """A server, a worker, and both flows deployed."""
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


def through_a_worker(folder: Path, store: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of a command that asks for a run and waits for its end, in turns."""
    run_file = write_run(folder, **SAME)
    parameters = f"--param run_file={run_file} --param output={folder / 'bundle'}"
    commands = {
        "empty": "prefect deployment run empty/local --watch",
        "all found done": (
            f"prefect deployment run distill-and-quantize/local-cpu --watch {parameters}"
        ),
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}

    def records() -> dict[str, float]:
        return {str(path): path.stat().st_mtime for path in store.glob("steps/*/*.json")}

    written = records()
    with served(folder, store) as session:
        for turn in range(rounds + 1):
            for name, command in commands.items():
                started = time.monotonic()
                session.run(command)
                assert records() == written, "a step was done again"
                if turn:  # The first one warms the disk's cache.
                    seconds[name].append(round(time.monotonic() - started, 2))
    return seconds


def main(
    rounds: Annotated[int, typer.Option(help="Of both flows, in turns.")] = 5,
) -> None:
    """Measure all, and write results/cached_runs.json and cached_runs.md."""
    with tempfile.TemporaryDirectory() as name:
        folder, place = Path(name), Path(name) / "store"
        store = Store(str(place))
        first, _ = by_hand(folder, store)
        found = {
            what: dict(zip(("seconds", "done"), by_hand(folder, store, **changes), strict=True))
            for what, changes in CHANGES.items()
        }
        (home := folder / "home").mkdir()
        worker = through_a_worker(home, place, rounds)
    kept = {"first": first, "changes": found, "worker": worker, "machine": describe()}
    (RESULTS / "cached_runs.json").write_text(json.dumps(kept, indent=1) + "\n")
    (RESULTS / "cached_runs.md").write_text(_told(kept, rounds))


def _told(kept: dict[str, Any], rounds: int) -> str:
    lines = ["| changed since the run before | steps done anew | s |", "| --- | --- | --- |"]
    lines += [
        f"| {what} | {', '.join(row['done']) or 'none'} | {row['seconds']:.2f} |"
        for what, row in kept["changes"].items()
    ]
    empty, full = (statistics.median(kept["worker"][name]) for name in kept["worker"])
    return (
        f"# Runs that find things done\n\nThe first took {kept['first']:.0f} s. Seconds are of "
        "checking, steps and bundle, without the start of Python.\n\n" + "\n".join(lines) + "\n\n"
        f"Through a Prefect worker, command to end, median of {rounds} in turns: a flow that does "
        f"nothing {empty:.2f} s, a run that finds everything done {full:.2f} s: "
        f"{full - empty:.2f} s more.\n\n"
        f"Command: `python -m benchmarks.robustness.cached_runs --rounds {rounds}`. "
        f"Machine: {kept['machine']}.\n"
    )


if __name__ == "__main__":
    typer.run(main)
