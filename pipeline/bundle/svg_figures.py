"""Matplotlib figures as SVG inside a page: its text color, in light and dark."""

import hashlib
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cycler import cycler
from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.figure import Figure

COLORS = ("#3d85c6", "#d2691e", "#2e9b6b", "#a569bd", "#c9485b", "#7f8c8d", "#b8860b", "#0fa3b1")
"""Colors of curves and bars. Each has enough contrast with a white and with a dark page."""

LINES = ("-", "--", "-.", ":")
"""Styles of lines, so that curves differ without colors too."""

INK = "#010203"
"""Stands for the page's text color, which the SVG refers to instead."""

STYLE: Any = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color", "legend.labelcolor"), INK),
    **{"axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 10},
    **{"font.size": 9, "legend.fontsize": 8, "legend.frameon": False},
    **{"axes.grid": True, "grid.color": "#808080", "grid.alpha": 0.25, "axes.axisbelow": True},
    **{"axes.facecolor": "none", "figure.facecolor": "none", "savefig.facecolor": "none"},
    "axes.prop_cycle": cycler(linestyle=LINES) * cycler(color=COLORS),
    # A name may contain dollar signs.
    "text.parse_math": False,
    # Text stays text, so that it can be selected and is set in the page's font.
    "svg.fonttype": "none",
}
"""Matplotlib's settings for all figures of a page."""


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw figures with `STYLE` inside the block."""
    with rc_context(STYLE):
        yield


def as_svg(figure: Figure, description: str) -> Markup:
    """Return a figure as an SVG element for a page.

    Args:
        figure: Drawn inside `figure_style`.
        description: What the figure shows, for screen readers. It must be unique in the page.
    """
    name = hashlib.sha256(description.encode()).hexdigest()[:8]
    file = io.StringIO()
    with rc_context({**STYLE, "svg.hashsalt": name}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Identifiers must be unique in the page.
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    width = figure.get_figwidth()
    label = f'role="img" aria-label="{escape(description)}" style="max-width: {96 * width:.0f}px"'
    svg = re.sub(r'<svg\b(.*?) width="[^"]*"', rf"<svg {label}\1", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'(<svg\b[^>]*?) height="[^"]*"', r"\1", svg, count=1, flags=re.DOTALL)
    return Markup(svg)
