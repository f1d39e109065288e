"""The page with the outcome of each file."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.result_pages import markdown_table
from benchmarks.teacher_files.file import File

HEAD = (
    "file",
    "network",
    "largest difference",
    "largest logit",
    "batch norms",
    "refused with",
)


def render(files: Sequence[File], rows: Mapping[tuple[str, str], Mapping[str, Any]]) -> str:
    """Return the page.

    Args:
        files: All files.
        rows: The measured rows by kind and network.
    """
    measured = [rows[file.kind, file.name] for file in files if (file.kind, file.name) in rows]
    right = sum(("refused" not in row) == row["should_load"] for row in measured)
    used = sorted({item for row in measured for item in row["versions"].items()})
    lines = [
        "# Teachers' files",
        "",
        f"{len(measured)} files, made by {', '.join(map(' '.join, used))}. The networks have "
        "random weights, and batch norms with statistics of random images. Each file is loaded as "
        "a teacher, and its logits are compared with those of its network on five other images. "
        f"{right} of {len(measured)} have the expected outcome.",
        "",
        "`PYTHONPATH=LIBRARIES python -m benchmarks.teacher_files`, with LIBRARIES as in "
        "benchmarks/README.md",
        "",
        markdown_table(HEAD, [_cells(file, rows.get((file.kind, file.name))) for file in files]),
    ]
    return "\n".join(lines) + "\n"


def _cells(file: File, row: Mapping[str, Any] | None) -> tuple[object, ...]:
    name = (file.kind, file.name)
    if row is None:
        return (*name, f"not measured: needs {', '.join(file.needs)}", "", "", "")
    if "refused" in row:
        return (*name, "", "", "", row["refused"])
    difference, largest = f"{row['largest_difference']:.1e}", f"{row['largest_logit']:.2g}"
    return (*name, difference, largest, row["batch_norms"], "")
