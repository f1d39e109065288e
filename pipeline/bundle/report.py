"""Write report.html, the results of a run as a page with charts."""

from pathlib import Path

from pipeline.bundle.summary import summary_rows
from pipeline.store.step_record import StepRecord
from targets.bundle.bundle_files import REPORT_PAGE, Manifest
from targets.bundle.golden import GOLDEN, load_golden


def write_report(manifest: Manifest, records: dict[str, StepRecord], folder: Path) -> None:
    """Write a bundle's report.html: results, a sample of the probes, losses, classes, files.

    Args:
        manifest: The bundle's manifest.
        records: The records of the steps, by step label.
        folder: The bundle's folder. Without golden.npz the report shows no probes.
    """
    from jinja2 import Environment, PackageLoader, select_autoescape

    from pipeline.bundle.charts import as_base64_png, class_bars, probe_grid, training_curves

    environment = Environment(
        loader=PackageLoader("pipeline.bundle", "templates"), autoescape=select_autoescape()
    )
    probes = folder / GOLDEN
    samples = {"Probes, which no student was trained on": probes} if probes.exists() else {}
    charts = {
        **{title: probe_grid(load_golden(path)) for title, path in samples.items()},
        "Losses during the training": training_curves(records, "curve"),
        "Share of each term in the generator's gradient": training_curves(records, "shares"),
        "Probes and agreement by class": class_bars(manifest["verdict"]),
    }
    page = environment.get_template("report.html").render(
        manifest=manifest,
        rows=summary_rows(manifest, Path()),
        charts={title: as_base64_png(figure) for title, figure in charts.items()},
    )
    (folder / REPORT_PAGE).write_text(page, encoding="utf-8")
