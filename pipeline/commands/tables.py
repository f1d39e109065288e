"""Print tables without cutting off any text."""

from rich.console import Console
from rich.table import Table

UNLIMITED = 100_000
"""Width of a table that is written to a file or a pipe."""


def print_table(table: Table) -> None:
    """Print a table on standard output.

    On a terminal, long words continue on the next line. Elsewhere, each row is one line, so that
    other programs can read it.
    """
    console = Console()
    if not console.is_terminal:
        console = Console(width=UNLIMITED)
    for column in table.columns:
        column.overflow = "fold"
    console.print(table, crop=False)
