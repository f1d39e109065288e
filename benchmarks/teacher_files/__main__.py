"""Load files of many kinds as teachers, and compare each with its network.

python -m benchmarks.teacher_files

Writes benchmarks/results/teacher_files.json and .md. Takes about 5 minutes. To continue after an
interruption, run the same command again; to measure again, delete the two files first.

Rows whose libraries are not installed are left as they are. benchmarks/README.md says how to
install these libraries.
"""

import json
from typing import Any

import torch

from base.errors import InputError
from benchmarks.result_pages import RESULTS
from benchmarks.teacher_files.file import CLASSES, File
from benchmarks.teacher_files.files import FILES
from benchmarks.teacher_files.libraries import missing, versions
from benchmarks.teacher_files.page import render
from dfkd.models.forward_pass import batch_norms
from pipeline.config.network_sections import TeacherSection
from pipeline.teachers.teacher_file import load_teacher_file

Row = dict[str, Any]

Key = tuple[str, str]


def measure(file: File) -> Row:
    """Return the outcome of loading one file."""
    network, content = file.make()
    row: Row = {
        "kind": file.kind,
        "network": file.name,
        "should_load": not file.refused,
        "versions": versions(file),
    }
    section = TeacherSection(weights=f"teacher{file.suffix}", classes=CLASSES, **file.teacher)
    try:
        loaded = load_teacher_file(content, section, file.spec, torch.device("cpu"))
    except InputError as error:
        return {**row, "refused": str(error)}
    torch.manual_seed(1)
    images = file.images(5)
    with torch.no_grad():
        expected, found = network(images), loaded.network(images)
    return {
        **row,
        "largest_difference": float((expected - found).abs().max()),
        "largest_logit": float(expected.abs().max()),
        "batch_norms": len(batch_norms(loaded.network)),
        "notes": list(loaded.notes),
    }


def main() -> None:
    """Measure the files that are not measured yet, and write the page."""
    path = RESULTS / "teacher_files.json"
    stored: list[Row] = json.loads(path.read_text()) if path.exists() else []
    rows: dict[Key, Row] = {(row["kind"], row["network"]): row for row in stored}
    for file in FILES:
        key = (file.kind, file.name)
        if missing(file) or (key in rows and rows[key]["versions"] == versions(file)):
            continue
        rows[key] = measure(file)
        print(json.dumps(rows[key]), flush=True)
        current = [rows[f.kind, f.name] for f in FILES if (f.kind, f.name) in rows]
        path.write_text(json.dumps(current, indent=2) + "\n")
    path.with_suffix(".md").write_text(render(FILES, rows))


if __name__ == "__main__":
    main()
