"""Tables of what was tried before a setting was chosen: a row a trial."""

import json
from collections.abc import Sequence
from pathlib import Path

from base.durable_files import write_durably
from benchmarks.job_queue import Row

RESULTS = Path(__file__).parent / "results"


def keep(name: str, heading: str, columns: Sequence[str], row: Row | None) -> None:
    """Add a row to results/NAME.json, render NAME.md anew, and print the row.

    Args:
        name: Of both files.
        heading: What stands above the table.
        columns: Fields of a row that the table shows.
        row: The trial; None only renders.
    """
    path = RESULTS / f"{name}.json"
    rows = json.loads(path.read_text()) if path.exists() else []
    if row is not None:
        rows.append(row)
        print(json.dumps(row))
    write_durably(path, json.dumps(rows, indent=1) + "\n")
    write_durably(path.with_suffix(".md"), render(heading, columns, rows))


def render(heading: str, columns: Sequence[str], rows: list[Row]) -> str:
    """The page."""
    lines = [columns, ("---",) * len(columns), *([str(row[c]) for c in columns] for row in rows)]
    return heading + "\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
