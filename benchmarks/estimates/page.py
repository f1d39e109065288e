"""Render the table as Markdown."""

from collections.abc import Sequence

from benchmarks.job_queue import Row
from benchmarks.result_pages import markdown_table

FACTOR = 1.5
"""An estimate is close if it differs from the run by at most this factor."""

HEAD = [
    *("network", "method", "check, s", "estimated s", "run, s", "ratio"),
    *("estimated GiB", "peak GiB", "ratio"),
]


def ratio(estimated: float, measured: float) -> float:
    """Return the estimate divided by the measurement."""
    return estimated / measured


def is_close(row: Row) -> bool:
    """Return whether time and memory were both estimated within `FACTOR`."""
    return all(1 / FACTOR <= value <= FACTOR for value in _ratios(row))


def render(rows: Sequence[Row], missing: int) -> str:
    """Return the page.

    Args:
        rows: The measured rows.
        missing: Number of runs that are not measured yet.
    """
    machines = sorted({row["machine"] for row in rows})
    return (
        "\n\n".join(
            [
                "# Estimates of `datafree-edge check`",
                "Each network is checked and then run at default settings, with the default "
                "verdict and an empty store. The networks are untrained, with logits of usual "
                "size: weights do not change time or memory. `peak` is the memory of the process "
                "and its children together, sampled five times a second. Ratios are estimate / "
                "measurement.",
                f"**{sum(map(is_close, rows))} of {len(rows)} are within a factor of {FACTOR}** in "
                "both time and memory.",
                markdown_table(HEAD, map(_cells, rows)),
                "Seconds of each step, estimated / measured:",
                _steps(rows),
                f"Not measured yet: {missing}. Command: `python -m benchmarks.estimates --state "
                f"STATE`. Machine: {'; '.join(machines)}.",
            ]
        )
        + "\n"
    )


def _ratios(row: Row) -> tuple[float, float]:
    return (
        ratio(row["estimated_seconds"], row["seconds"]),
        ratio(row["estimated_gib"], row["peak_gib"]),
    )


def _steps(rows: Sequence[Row]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row["estimated_steps"]))
    body = [
        [row["network"]]
        + [
            f"{row['estimated_steps'][name]} / {row['steps'].get(name.split()[0], '')}"
            if name in row["estimated_steps"]
            else ""
            for name in names
        ]
        for row in rows
    ]
    return markdown_table(["network", *names], body)


def _cells(row: Row) -> list[object]:
    time_ratio, memory_ratio = _ratios(row)
    return [
        *(row["network"], row["method"], row["check_seconds"]),
        *(row["estimated_seconds"], row["seconds"], f"{time_ratio:.2f}"),
        *(row["estimated_gib"], row["peak_gib"], f"{memory_ratio:.2f}"),
    ]
