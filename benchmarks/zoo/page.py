"""The zoo's table as Markdown."""

from collections.abc import Sequence

from benchmarks.job_queue import Row
from benchmarks.result_pages import markdown_table

MIN_QUANTIZED, MIN_AGREEMENT = 95.0, 90.0
"""Smallest percentages with which a network counts as running."""

COLUMNS = {
    "architecture": "network",
    "size": "size",
    "accuracy": "accuracy",
    "quantized_percent": "quantized %",
    "lint_errors": "lint errors",
    "integer_layers": "integer layers",
    "layers": "layers",
    "agreement_percent": "agreement %",
    "sqnr_db": "SQNR dB",
    "fp32_ms": "fp32 ms",
    "int8_ms": "int8 ms",
    "minutes": "minutes",
    "estimated_minutes": "estimated",
}


def runs(row: Row) -> bool:
    """Return whether a network ran, has no lint errors, and reaches both percentages."""
    return (
        "minutes" in row
        and row["lint_errors"] == 0
        and row["quantized_percent"] >= MIN_QUANTIZED
        and row["agreement_percent"] >= MIN_AGREEMENT
    )


def render(rows: Sequence[Row], missing: int) -> str:
    """Return the page.

    Args:
        rows: The measured rows.
        missing: Number of networks that are not measured yet.
    """
    ran = [row for row in rows if "minutes" in row]
    stopped = [
        f"- {row['architecture']}: {row.get('refused') or row.get('failed')}"
        for row in rows
        if "minutes" not in row
    ]
    body = [[row.get(name, "") for name in COLUMNS] for row in ran]
    machines = sorted({row["machine"] for row in rows})
    return (
        "\n\n".join(
            [
                "# The zoo: networks of torchvision and timm",
                "Each network is trained for some minutes on CIFAR-10 images enlarged to `size`; "
                "`accuracy` is measured on 1,000 held-out training images. The network is then "
                "quantized with the project's commands. The settings are the defaults, except for "
                "calibration with noise and held-out generators that are trained for only a few "
                "rounds. `agreement` and `SQNR` compare the compiled int8 graph with the float "
                "graph on 2,000 fixed images (`benchmarks/zoo/structured_images.py`). Latencies "
                "are medians at batch 1 on one thread.",
                f"**{sum(map(runs, rows))} of {len(rows)} measured networks run**: no lint "
                f"errors, at least {MIN_QUANTIZED:.0f} % of the multiply-adds quantized, an "
                f"agreement of at least {MIN_AGREEMENT:.0f} %. Not measured yet: {missing}.",
                markdown_table(list(COLUMNS.values()), body),
                *(["Not run:", "\n".join(stopped)] if stopped else []),
                f"Command: `python -m benchmarks.zoo --data DATA`. Machine: {'; '.join(machines)}.",
            ]
        )
        + "\n"
    )
