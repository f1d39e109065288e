"""Runs that are killed, or whose server, store or disk fails: how each of them ends.

python -m benchmarks.robustness.chaos

A real Prefect server, and the flow as a process of its own. A stage is disturbed at a random moment
of it; then the same command is given again, if need be, and what came of it is compared with an
undisturbed run: every artifact, every record.
"""

import json
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import track

from benchmarks.machine import describe
from benchmarks.robustness.disturbances import STAGES, Server, disturbed, undisturbed

RESULTS = Path(__file__).parents[1] / "results"

KILLS = 3
"""Of each stage, at least."""

SHOWN = ("noticed", "resumed", "same", "done_twice")
"""Of each row, counted in the table."""

OTHERS = (("server", "distill"), ("server", "probe"), ("store", "quantize"), ("disk", "export"))
"""What fails beside the process, and in which stage."""


def disturbances(rng: random.Random, rows: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """All of them, in an order of their own; then what slipped by, of stages and of kinds."""
    chosen = [*(("kill", stage) for stage in STAGES for _ in range(KILLS)), *OTHERS]
    rng.shuffle(chosen)
    yield from chosen
    for _ in range(KILLS):
        killed = Counter(row["stage"] for row in rows if row["kind"] == "kill")
        yield from [("kill", stage) for stage in STAGES for _ in range(KILLS - killed[stage])]
        noticed = {row["kind"] for row in rows if row["noticed"]}
        yield from [other for other in OTHERS if other[0] not in noticed]


def measured(rng: random.Random) -> Iterator[list[dict[str, Any]]]:
    """The rows of the table, one more each time."""
    rows = list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name))
        server.start()
        try:
            meant, lasts = undisturbed(server, Path(name) / "plain")
            for kind, stage in disturbances(rng, rows):
                (folder := Path(name) / str(len(rows))).mkdir()
                row = disturbed(server, folder, kind, stage, lasts[stage], rng)
                made = row.pop("made")
                rows.append({**row, "same": made == meant})
                yield rows
        finally:
            server.stop()


def main(
    seed: Annotated[int, typer.Option(help="Chooses order and moments.")] = 0,
) -> None:
    """Measure all, and write results/chaos.json and chaos.md after each run."""
    total = KILLS * len(STAGES) + len(OTHERS)
    for rows in track(measured(random.Random(seed)), "chaos", total):
        keep(rows, seed)


def keep(rows: list[dict[str, Any]], seed: int) -> None:
    """Write rows and table."""
    (RESULTS / "chaos.json").write_text(json.dumps(rows, indent=1) + "\n")
    counts = Counter((row["kind"], row["stage"]) for row in rows)
    counted = ("noticed", "went on from a checkpoint", "same result", "a finished step done twice")
    titles = ("what", "in stage", "runs", *counted)
    lines = [f"| {' | '.join(titles)} |", "|" + " --- |" * len(titles)]
    for (kind, stage), count in sorted(counts.items(), key=_in_order):
        of_it = [row for row in rows if (row["kind"], row["stage"]) == (kind, stage)]
        kept = [sum(bool(row[what]) for row in of_it) for what in SHOWN]
        lines.append("| " + " | ".join(map(str, [kind, stage, count, *kept])) + " |")
    command = f"`python -m benchmarks.robustness.chaos --seed {seed}`"
    (RESULTS / "chaos.md").write_text(
        "# Runs that were disturbed\n\nEach was disturbed once, at a random moment of a stage, and "
        "started again where it did not end by itself. Noticed: the process was there to be "
        "killed; the run outlived a time without a server that was longer than the rest of it, or "
        "its log tells of it; of store and disk the log tells. Same: every artifact of every step, "
        "and the bundle, has the digest that it has in an undisturbed run.\n\n"
        + "\n".join(lines)
        + f"\n\n{len(rows)} runs. Command: {command}. Machine: {describe()}.\n"
    )


def _in_order(counted: tuple[tuple[str, str], int]) -> tuple[str, int]:
    (kind, stage), _ = counted
    return kind, STAGES.index(stage)


if __name__ == "__main__":
    typer.run(main)
