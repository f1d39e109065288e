"""What a run found, for people: a table for the terminal, and report.html with pictures."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape
from matplotlib.figure import Figure
from rich.table import Table

from pipeline.store.step_record import StepRecord
from targets.bundle.bundle_files import REPORT_PAGE, Manifest
from targets.bundle.golden import GOLDEN, Golden, load_golden


def summary(manifest: Manifest, folder: Path) -> list[tuple[str, str]]:
    """The run in a dozen lines: label and value."""
    verdict = manifest["verdict"]
    training = "; ".join(manifest["health"]) or "healthy, nothing rolled back"
    if verdict is None:
        return [
            ("teacher", manifest["teacher"]["architecture"]),
            ("student", manifest["student"]),
            ("training", training),
            ("verdict", "none: below 8 bits nothing is exported, no runtime here takes it"),
            ("bundle", str(folder)),
        ]
    interval = (
        f"{100 * verdict['agreement']:.2f} %  "
        f"[{100 * verdict['low']:.2f}, {100 * verdict['high']:.2f}]  "
        f"({verdict['agreed']} of {verdict['images']} synthetic probes)"
    )
    rows = [
        ("teacher", manifest["teacher"]["architecture"]),
        ("student", manifest["student"]),
        ("training", training),
        ("agreement with the teacher", interval),
        ("teacher's confidence on probes", f"{100 * verdict['teacher_confidence']:.1f} %"),
    ]
    for name, target in manifest["targets"].items():
        fp32, int8 = target["fp32"], target["int8"]
        ratio = int8["bytes"] / fp32["bytes"]
        rows += [
            (f"{name}: size", f"{fp32['bytes']:,} -> {int8['bytes']:,} bytes ({ratio:.2f})"),
            (f"{name}: latency", _latency(target)),
            (
                f"{name}: agreement",
                f"fp32 {100 * fp32['agreement']:.2f} %, int8 {100 * int8['agreement']:.2f} %",
            ),
            (f"{name}: recommended", f"{target['recommended']}: {target['because']}"),
        ]
    rows += [(f"{name}: built there", _built(entry)) for name, entry in manifest["engines"].items()]
    rows += [
        ("verdict", f"{verdict['outcome']} (asked for {100 * verdict['threshold']:g} %)"),
        ("bundle", str(folder)),
    ]
    return rows


def _built(entry: dict[str, Any]) -> str:
    """What a device said of its engine or graph, or that it is still to be made."""
    if entry.get("engine") == "pending":
        return f"pending ({entry['because']}); on the device: {entry['build']}"
    unasked = f"; not asked again ({entry['unasked']})" if "unasked" in entry else ""
    if "recommended" in entry:
        return f"{entry['recommended']}: {entry['because']}{unasked}"
    times = entry["milliseconds"]
    return f"fp32 {times['fp32']:.3f} ms, int8 {times['int8']:.3f} ms{unasked}"


def _latency(target: dict[str, Any]) -> str:
    fp32, int8 = target["fp32"], target["int8"]
    if int8["milliseconds"] is None:
        return "not measured, the run's machine has another CPU"
    return (
        f"fp32 {fp32['milliseconds']:.3f} ms, int8 {int8['milliseconds']:.3f} ms "
        f"(batch {target['batch']}, {target['threads']} thread; "
        f"{int8['integer_layers']} of {len(int8['layers'])} layers on integer kernels)"
    )


def summary_table(manifest: Manifest, folder: Path) -> Table:
    """`summary` for the terminal."""
    table = Table(title=manifest["name"], show_header=False, title_justify="left")
    for label, value in summary(manifest, folder):
        table.add_row(label, value)
    return table


def write_report(manifest: Manifest, records: dict[str, StepRecord], folder: Path) -> None:
    """Write report.html: the table, samples of the probes if they are there, losses, classes."""
    environment = Environment(
        loader=PackageLoader("pipeline.bundle", "templates"), autoescape=select_autoescape()
    )
    probes = folder / GOLDEN
    samples = {"Probes: images no student was taught on": probes} if probes.exists() else {}
    pictures = {
        **{title: _probe_grid(load_golden(path)) for title, path in samples.items()},
        "Losses along the run": _curves(records),
        "Each term's share of the generator's gradient": _shares(records),
        "Probes and agreement by class": _classes(manifest["verdict"]),
    }
    page = environment.get_template("report.html").render(
        manifest=manifest,
        rows=summary(manifest, Path()),
        pictures={title: _as_png(figure) for title, figure in pictures.items()},
    )
    (folder / REPORT_PAGE).write_text(page, encoding="utf-8")


def _probe_grid(golden: Golden, columns: int = 10, rows: int = 4) -> Figure:
    figure = Figure(figsize=(columns * 0.8, rows * 0.95), layout="constrained")
    answers = golden.teacher_logits.argmax(1)
    picked = np.linspace(0, len(answers) - 1, columns * rows).astype(int)
    for axes, index in zip(figure.subplots(rows, columns).flat, picked, strict=True):
        image = golden.pixels[index].transpose(1, 2, 0)
        if image.shape[2] == 3:
            axes.imshow(image)
        else:
            axes.imshow(image[:, :, 0], cmap="gray", vmin=0, vmax=255)
        axes.set_title(str(answers[index]), fontsize=8)
        axes.axis("off")
    return figure


def _curves(records: dict[str, StepRecord]) -> Figure:
    return _lines(records, "curve")


def _shares(records: dict[str, StepRecord]) -> Figure:
    return _lines(records, "shares")


def _lines(records: dict[str, StepRecord], kind: str) -> Figure:
    curves = {
        step: noted
        for step in ("distill", "fresh_generator", "quantize")
        if step in records and (noted := _noted(records[step].notes, kind))
    }
    if not curves:
        return Figure(figsize=(4, 0.5))
    figure = Figure(figsize=(4 * len(curves), 3), layout="constrained")
    for axes, (step, curve) in zip(
        np.atleast_1d(figure.subplots(1, len(curves))), curves.items(), strict=True
    ):
        for name in sorted({name for point in curve for name in point}):
            points = [point.get(name, float("nan")) for point in curve]
            axes.plot(np.linspace(0, 1, len(points)), points, label=name)
        axes.set(title=step, xlabel="share of its steps")
        axes.legend(fontsize=7)
    return figure


def _noted(notes: dict[str, Any], kind: str) -> list[dict[str, float]]:
    points: list[dict[str, float]] = notes.get("fine-tuning", notes).get(kind, [])
    return points


def _classes(verdict: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(8, 2.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.bar(range(len(verdict["teacher_histogram"])), verdict["teacher_histogram"])
    left.set(title="teacher's answers", xlabel="class", ylabel="probes")
    right.bar(range(len(verdict["per_class"])), [100 * (v or 0) for v in verdict["per_class"]])
    right.set(title="agreement", xlabel="class", ylabel="%")
    return figure


def _as_png(figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return base64.b64encode(file.getvalue()).decode()
