"""Tables of several runs for the terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Column, Table

from base.one_line import one_line
from pipeline.bundle.run_figures import RunFigures, TargetFigures

WHOLE = ("written at (UTC)", "bundle", "verdict")
"""Columns that are never broken into several lines."""

COLUMNS = (
    *("written at (UTC)", "name", "bundle", "teacher", "student", "verdict"),
    *("agreement with the teacher", "target", "size, fp32 -> int8", "latency, fp32 -> int8"),
)


def runs_table(runs: Sequence[RunFigures], title: str) -> Table:
    """Return a table with one row for each run and target.

    Args:
        runs: The runs, in the order of the rows.
        title: The title of the table.
    """
    columns = [Column(name, no_wrap=name in WHOLE) for name in COLUMNS]
    table = Table(*columns, title=_literal(title), title_justify="left")
    for run in runs:
        for name, target in run.targets.items() or [("", None)]:
            table.add_row(
                *map(_literal, (_time(run.created), run.name, run.bundle[:12])),
                *map(_literal, (run.teacher, run.student, run.outcome or "none")),
                agreement_text(run),
                *map(_literal, (name, size_text(target), latency_text(target))),
            )
    return table


def agreement_text(run: RunFigures) -> str:
    """Return a run's agreement with its interval, in percent."""
    if run.agreement is None or run.low is None or run.high is None:
        return "not measured"
    return f"{100 * run.agreement:.2f} % ({100 * run.low:.2f} to {100 * run.high:.2f})"


def size_text(target: TargetFigures | None) -> str:
    """Return the sizes of a target's two models, and their ratio."""
    if target is None:
        return "not exported"
    ratio = "" if target.size_ratio is None else f" ({target.size_ratio:.2f})"
    return f"{shown_bytes(target.fp32_bytes)} -> {shown_bytes(target.int8_bytes)}{ratio}"


def shown_bytes(count: int) -> str:
    """Return a size in kB, or in MB from 1 MB on."""
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"


def latency_text(target: TargetFigures | None) -> str:
    """Return the latencies of a target's two models, in ms, and the speedup."""
    if target is None:
        return "not exported"
    if target.fp32_ms is None or target.int8_ms is None:
        return "not measured"
    speedup = "" if target.speedup is None else f" (speedup {target.speedup:.2f})"
    return f"{target.fp32_ms:.3f} -> {target.int8_ms:.3f} ms{speedup}"


def _time(created: str) -> str:
    return created[:16].replace("T", " ")


def _literal(text: str) -> str:
    """Return text as one line that rich prints without interpreting markup."""
    return escape(one_line(text))
