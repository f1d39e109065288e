"""Tables of the trials by which a setting was chosen: one row a trial."""

import json
from collections.abc import Sequence

from base.durable_files import write_durably
from benchmarks import result_pages
from benchmarks.job_queue import Row


def add_trial(name: str, heading: str, columns: Sequence[str], row: Row) -> None:
    """Append a row to results/NAME.json, rewrite NAME.md and print the row.

    Args:
        name: Base name of both files.
        heading: Markdown above the table.
        columns: The keys of a row that the table shows.
        row: The trial.
    """
    path = result_pages.RESULTS / f"{name}.json"
    rows = [*(json.loads(path.read_text()) if path.exists() else []), row]
    print(json.dumps(row))
    write_durably(path, json.dumps(rows, indent=1) + "\n")
    write_durably(path.with_suffix(".md"), render_trials(heading, columns, rows))


def render_trials(heading: str, columns: Sequence[str], rows: list[Row]) -> str:
    """Return the page as Markdown."""
    table = result_pages.markdown_table(columns, [[row[name] for name in columns] for row in rows])
    return f"{heading}\n\n{table}\n"
