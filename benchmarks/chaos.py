"""Runs that are killed, or whose server, store or disk fails: how each of them ends.

python -m benchmarks.chaos

A real Prefect server, and the flow as a process of its own. A stage is disturbed at a random moment
of it; then the same command is given again, if need be, and what came of it is compared with an
undisturbed run: every artifact, every record.
"""

import json
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import track

from benchmarks.disturbances import STAGES, Server, disturbed, undisturbed
from benchmarks.machine import describe

RESULTS = Path(__file__).parent / "results"

KILLS = 3
"""Of each stage, at least."""

OTHERS = (("server", "distill"), ("server", "probe"), ("store", "quantize"), ("disk", "export"))
"""What fails beside the process, and in which stage."""


def disturbances(rng: random.Random) -> list[tuple[str, str]]:
    """All of them, in an order of their own."""
    chosen = [*(("kill", stage) for stage in STAGES for _ in range(KILLS)), *OTHERS]
    rng.shuffle(chosen)
    return chosen


def main(
    seed: Annotated[int, typer.Option(help="Chooses order and moments.")] = 0,
) -> None:
    """Measure all, and write results/chaos.json and chaos.md."""
    rng, rows = random.Random(seed), list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name))
        server.start()
        try:
            (plain := Path(name) / "plain").mkdir()
            meant, lasts = undisturbed(server, plain)
            for kind, stage in track(disturbances(rng), "chaos"):
                (folder := Path(name) / str(len(rows))).mkdir()
                row = disturbed(server, folder, kind, stage, lasts[stage], rng)
                rows.append({**row, "same": row.pop("made") == meant})
        finally:
            server.stop()
    keep(rows, seed)


def keep(rows: list[dict[str, Any]], seed: int) -> None:
    """Write rows and table."""
    (RESULTS / "chaos.json").write_text(json.dumps(rows, indent=1) + "\n")
    counts = Counter((row["kind"], row["stage"]) for row in rows)
    lines = ["| what | in stage | runs | same result | a step done twice |", "|" + " --- |" * 5]
    for (kind, stage), count in sorted(counts.items()):
        of_it = [row for row in rows if (row["kind"], row["stage"]) == (kind, stage)]
        same, twice = sum(r["same"] for r in of_it), sum(bool(r["done_twice"]) for r in of_it)
        lines.append(f"| {kind} | {stage} | {count} | {same} | {twice} |")
    command = f"`python -m benchmarks.chaos --seed {seed}`"
    (RESULTS / "chaos.md").write_text(
        "# Runs that were disturbed\n\nEach was disturbed once, at a random moment of a stage, and "
        "started again where it did not end by itself. Same: every artifact of every step has the "
        "digest that it has in an undisturbed run.\n\n" + "\n".join(lines) + f"\n\n{len(rows)} "
        f"runs. Command: {command}. Machine: {describe()}.\n"
    )


if __name__ == "__main__":
    typer.run(main)
