"""Measure how runs end that are killed, or that lose their server, store or disk space.

python -m benchmarks.robustness.chaos

Uses a real Prefect server and runs the flow as a process of its own. Each run is disturbed once, at
a random moment of a stage, and started again if it failed. What it made (every artifact and every
record) is compared with an undisturbed run.
"""

import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from benchmarks.result_pages import RESULTS, markdown_table
from benchmarks.robustness.disturbances import disturbed_run, undisturbed_run
from benchmarks.robustness.flow_process import STAGES, Server

KILLS_PER_STAGE = 3

OTHERS = (("server", "distill"), ("server", "probe"), ("store", "quantize"), ("disk", "export"))
"""Disturbances other than a kill, each with its stage."""

COUNTED = {
    "noticed": "noticed",
    "resumed": "resumed from a checkpoint",
    "same": "same result",
    "done_twice": "repeated a finished step",
}
"""Columns that count the rows in which a key is set."""


def disturbances(rng: random.Random, rows: list[Row]) -> Iterator[tuple[str, str]]:
    """Yield (kind, stage) in random order; then again those that missed their stage or effect."""
    chosen = [*(("kill", stage) for stage in STAGES for _ in range(KILLS_PER_STAGE)), *OTHERS]
    rng.shuffle(chosen)
    yield from chosen
    for _ in range(KILLS_PER_STAGE):
        killed = Counter(row["stage"] for row in rows if row["kind"] == "kill")
        missing = {stage: KILLS_PER_STAGE - killed[stage] for stage in STAGES}
        yield from [("kill", stage) for stage in STAGES for _ in range(missing[stage])]
        noticed = {row["kind"] for row in rows if row["noticed"]}
        yield from [other for other in OTHERS if other[0] not in noticed]


def measure(rng: random.Random) -> Iterator[list[Row]]:
    """Yield the rows so far after each run."""
    rows = list[Row]()
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name))
        server.start()
        try:
            expected, durations = undisturbed_run(server, Path(name) / "plain")
            for kind, stage in disturbances(rng, rows):
                (folder := Path(name) / str(len(rows))).mkdir()
                row = disturbed_run(server, folder, kind, stage, durations[stage], rng)
                made = row.pop("made")
                machine = describe_machine()
                rows.append({**row, "same": made == expected, "machine": machine})
                yield rows
        finally:
            server.stop()


def main(
    seed: Annotated[int, typer.Option(help="Seed of the order and of the moments.")] = 0,
) -> None:
    """Measure all runs; write results/chaos.json and chaos.md after each of them."""
    total = KILLS_PER_STAGE * len(STAGES) + len(OTHERS)
    for rows in track(measure(random.Random(seed)), "chaos", total):
        (RESULTS / "chaos.json").write_text(json.dumps(rows, indent=1) + "\n")
        (RESULTS / "chaos.md").write_text(render(rows, seed))


def render(rows: list[Row], seed: int) -> str:
    """Return the page as Markdown."""
    counts = Counter((row["kind"], row["stage"]) for row in rows)
    body = []
    for (kind, stage), count in sorted(counts.items(), key=_by_kind_and_stage):
        matching = [row for row in rows if (row["kind"], row["stage"]) == (kind, stage)]
        body.append([kind, stage, count, *(sum(bool(r[key]) for r in matching) for key in COUNTED)])
    return (
        "# Disturbed runs\n\n"
        "Each run was disturbed once, at a random moment of a stage: its process was killed, its "
        "Prefect server was stopped, its store was unreachable or its disk was full. A run that "
        "did not finish was started again with the same command.\n\n"
        "- `noticed`: the disturbance reached the run. A killed process was still running; a run "
        "without a server was still running when the server came back, or its log has an error; "
        "for store and disk the log has an error.\n"
        "- `same result`: every artifact of every step, and the bundle, has the same digest as in "
        "an undisturbed run.\n\n"
        + markdown_table(["disturbance", "stage", "runs", *COUNTED.values()], body)
        + f"\n\n{len(rows)} runs. Command: `python -m benchmarks.robustness.chaos --seed {seed}`. "
        f"Machine: {rows[0]['machine']}.\n"
    )


def _by_kind_and_stage(counted: tuple[tuple[str, str], int]) -> tuple[str, int]:
    (kind, stage), _ = counted
    return kind, STAGES.index(stage)


if __name__ == "__main__":
    typer.run(main)
