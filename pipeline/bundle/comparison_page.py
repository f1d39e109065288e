"""Write the page that shows several runs side by side."""

from pathlib import Path

from base.durable_files import write_durably
from pipeline.bundle.comparison import Comparison
from pipeline.bundle.comparison_charts import agreements_chart, trade_off_chart
from pipeline.bundle.page import render
from pipeline.bundle.svg_figures import as_svg, figure_style


def write_comparison(path: Path, comparison: Comparison) -> None:
    """Write the page: verdicts, figures, hops, size and speed, differing settings.

    Args:
        path: The file.
        comparison: The runs.
    """
    judged = [run for run in comparison.runs if run.figures.agreement is not None]
    with figure_style():
        charts = {}
        if judged:
            charts["Agreement of each form of the student"] = agreements_chart(judged)
            charts["Agreement, size and latency of the int8 models"] = trade_off_chart(judged)
        page = render(
            "comparison.html",
            comparison=comparison,
            titles=[run.title for run in comparison.runs],
            charts={title: as_svg(figure, title) for title, figure in charts.items()},
        )
    write_durably(path, page)
