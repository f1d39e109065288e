"""Load files of many kinds as teachers, and compare each with its network.

python -m benchmarks.teacher_files

Writes benchmarks/results/teacher_files.json and .md. Takes some minutes. To continue after an
interruption, run the same command again; to measure again, delete the two files first.
"""

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from base.errors import InputError
from benchmarks.teacher_files.files import CLASSES, FILES, File, make
from dfkd.images import ImageSpec
from dfkd.models.forward_pass import batch_norms
from pipeline.config.network_sections import TeacherSection
from pipeline.teachers.teacher_file import load_teacher_file

RESULTS = Path(__file__).parents[1] / "results"

PACKAGES = ("torch", "torchvision", "onnx", "onnxruntime", "onnxscript", "safetensors")


def measure(file: File) -> dict[str, Any]:
    """Return the outcome of loading one file."""
    network, content = make(file)
    row: dict[str, Any] = {"kind": file.kind, "network": file.name, "should_load": not file.refused}
    spec = ImageSpec(file.shape, (0.0,) * file.shape[0], (1.0,) * file.shape[0])
    section = TeacherSection(weights=f"teacher{file.suffix}", classes=CLASSES, **file.teacher)
    try:
        loaded = load_teacher_file(content, section, spec, torch.device("cpu"))
    except InputError as error:
        return {**row, "refused": str(error)}
    images = torch.rand(5, *file.shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = network(images), loaded.network(images)
    return {
        **row,
        "largest_difference": float((expected - found).abs().max()),
        "largest_logit": float(expected.abs().max()),
        "batch_norms": len(batch_norms(loaded.network)),
        "notes": list(loaded.notes),
    }


def render(rows: list[dict[str, Any]], versions: dict[str, str]) -> str:
    """Return the page."""
    right = sum(("refused" not in row) == row["should_load"] for row in rows)
    used = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [
        "# Teachers' files",
        "",
        f"{len(rows)} files, made by {used}. The networks have random weights, and batch norms "
        "with statistics of random images. Each file is loaded as a teacher, and its logits are "
        f"compared with those of its network on five other images. {right} of {len(rows)} have "
        "the expected outcome.",
        "",
        "`python -m benchmarks.teacher_files`",
        "",
        "| file | network | largest difference | largest logit | batch norms | refused with |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if "refused" in row:
            rest = f"| | | {row['refused']} |"
            lines.append(f"| {row['kind']} | {row['network']} | {rest}")
        else:
            lines.append(
                f"| {row['kind']} | {row['network']} | {row['largest_difference']:.1e} "
                f"| {row['largest_logit']:.2f} | {row['batch_norms']} | |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure the files that are not measured yet, and write the page."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    path = RESULTS / "teacher_files.json"
    rows: list[dict[str, Any]] = []
    if path.exists() and json.loads(path.read_text())["versions"] == versions:
        rows = json.loads(path.read_text())["rows"]
    known = {(row["kind"], row["network"]) for row in rows}
    for file in FILES:
        if (file.kind, file.name) not in known:
            rows.append(measure(file))
            print(json.dumps(rows[-1]), flush=True)
            path.write_text(json.dumps({"versions": versions, "rows": rows}, indent=2) + "\n")
    path.with_suffix(".md").write_text(render(rows, versions))


if __name__ == "__main__":
    main()
