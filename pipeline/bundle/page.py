"""Render the pages of bundles: one file, without references to others."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def render(template: str, **content: Any) -> str:
    """Return a page.

    Args:
        template: The name of a file in the folder `templates`.
        content: What the template shows.
    """
    environment = Environment(
        loader=PackageLoader("pipeline.bundle", "templates"),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.2f} %"
    return environment.get_template(template).render(**content)
