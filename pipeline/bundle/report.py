"""Write report.html, the results of a run as a page with charts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.bundle.hop_losses import hop_losses
from pipeline.bundle.next_step import next_step
from pipeline.bundle.summary import engine_result, probe_rows
from pipeline.store.step_record import StepRecord
from targets.bundle.bundle_files import REPORT_PAGE, Manifest
from targets.bundle.golden import GOLDEN, load_golden

MAX_MATRIX = 30
"""Most classes of a confusion matrix. With more classes the most frequent pairs are listed."""

LISTED_PAIRS = 15
"""Number of pairs of classes in the list."""


def write_report(manifest: Manifest, records: dict[str, StepRecord], folder: Path) -> None:
    """Write a bundle's report.html.

    Args:
        manifest: The bundle's manifest, with a verdict.
        records: The records of the steps, by step label.
        folder: The bundle's folder. Without golden.npz the report shows no probes.
    """
    from pipeline.bundle import report_texts as texts
    from pipeline.bundle.page import render
    from pipeline.bundle.pictures import class_pictures

    probes = folder / GOLDEN
    verdict = manifest["verdict"]
    page = render(
        "report.html",
        manifest=manifest,
        verdict=verdict,
        sentence=texts.verdict_sentence(manifest),
        subject=texts.subject_sentence(manifest),
        loss_line=texts.loss_line(manifest),
        hops=hop_losses(manifest),
        costs=texts.cost_rows(manifest),
        advice=next_step(manifest),
        engines=[(name, engine_result(entry)) for name, entry in manifest["engines"].items()],
        engine_rows=texts.engine_rows(manifest),
        training_rows=texts.cost_of_training_rows(records),
        pictures=class_pictures(load_golden(probes)) if probes.exists() else [],
        families=texts.family_rows(manifest),
        probe_rows=probe_rows(manifest),
        confusions=_named_confusions(manifest),
        layers={name: texts.layer_rows(manifest, name) for name in manifest["targets"]},
        lineage=texts.lineage_rows(records),
        command=texts.repeat_command(manifest),
        run_file=texts.run_file_text(manifest),
        class_name=lambda label: class_name(manifest, label),
        charts=_charts(manifest),
        phases=list(_phases(records)),
    )
    (folder / REPORT_PAGE).write_text(page, encoding="utf-8")


def class_name(manifest: Manifest, label: int) -> str:
    """Return a class's number, with its name if the run file names the classes."""
    names = manifest["teacher"].get("class_names", [])
    return f"{label}: {names[label]}" if label < len(names) else str(label)


def _charts(manifest: Manifest) -> dict[str, Any]:
    """Return the charts that are made of the manifest, by name."""
    from pipeline.bundle import charts
    from pipeline.bundle.report_texts import family_rows
    from pipeline.bundle.svg_figures import as_svg, figure_style

    verdict = manifest["verdict"]
    counts = _confusion_counts(manifest)
    agreement = [None if share is None else 100 * share for share in verdict["per_class"]]
    families = family_rows(manifest)
    with figure_style():
        made = {
            "targets": (charts.target_chart(manifest), "Size and latency on each target"),
            "families": (
                charts.interval_chart(
                    [name for name, *_ in families],
                    [(share, low, high) for _, _, share, low, high in families],
                    verdict["threshold"],
                ),
                "Agreement on the probes of each generator, with intervals",
            ),
            "classes": (charts.class_chart(agreement, "agreement (%)"), "Agreement by class"),
            "probes": (
                charts.class_chart(verdict["teacher_histogram"], "number of probes"),
                "Number of probes by the class that the teacher predicts",
            ),
        }
        if hops := hop_losses(manifest):
            figure = charts.hop_chart(hops, verdict["threshold"])
            made["hops"] = (figure, "Agreement of each form of the student, with intervals")
        if counts is not None:
            made["confusion"] = (charts.confusion_chart(counts), "Confusion matrix")
        return {name: as_svg(figure, title) for name, (figure, title) in made.items()}


def _phases(records: dict[str, StepRecord]) -> Iterator[tuple[str, list[Any]]]:
    """Yield the name of each training phase with its charts."""
    from pipeline.bundle.charts import CURVES, training_chart
    from pipeline.bundle.report_texts import training_notes
    from pipeline.bundle.svg_figures import as_svg, figure_style

    for label, notes in training_notes(records):
        losses = [
            {name: value for name, value in point.items() if name != "confidence"}
            for point in notes["curve"]
        ]
        confidence = [
            {"confidence": point["confidence"]} for point in notes["curve"] if "confidence" in point
        ]
        cost = notes["cost"]
        steps = cost["student_steps"]
        axis = (steps, "student steps") if steps else (cost["images"], "generated images")
        # The share of a single term is always 100 %.
        shares = [point for point in notes["shares"] if len(point) > 1]
        kinds = {"losses": losses, "confidence": confidence, "shares": shares}
        with figure_style():
            drawn = [
                as_svg(
                    training_chart(points, kind, *axis),
                    f"{label}: {CURVES[kind]} during the training",
                )
                for kind, points in kinds.items()
                if any(points)
            ]
        if drawn:
            yield label, drawn


def _confusion_counts(manifest: Manifest) -> "np.ndarray[Any, Any] | None":
    """Return the number of probes (K, K) by teacher's and student's class, if it is small."""
    verdict = manifest["verdict"]
    histogram = verdict["teacher_histogram"]
    pairs = manifest["targets"][verdict["target"]].get("confusions")
    if pairs is None or len(histogram) > MAX_MATRIX:
        return None
    counts = np.zeros((len(histogram), len(histogram)), int)
    for teacher, student, count in pairs:
        counts[teacher, student] = count
    np.fill_diagonal(counts, np.array(histogram) - counts.sum(1))
    return counts


def _named_confusions(manifest: Manifest) -> list[tuple[str, str, int]]:
    """Return the most frequent pairs of classes that teacher and student predict differently."""
    pairs = manifest["targets"][manifest["verdict"]["target"]].get("confusions") or []
    return [
        (class_name(manifest, teacher), class_name(manifest, student), count)
        for teacher, student, count in pairs[:LISTED_PAIRS]
    ]
