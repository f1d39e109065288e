"""The documentation that is written from the code, and a Sphinx extension for its pages.

`parts.py` has the parts of tracked pages; `docs/update_pages.py` writes them. Before each build,
the extension writes whole pages to `docs/generated/`, which is not tracked. Nothing here imports
torch.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dfkd.recipes import RECIPES
from reference_pages.recipes import recipe_pages
from reference_pages.scores import RESULTS

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def generated_pages() -> dict[str, str]:
    """Return the text of every generated file by its path below `docs/generated/`."""
    return {
        **{f"recipes/{name}.md": text for name, text in recipe_pages().items()},
        **{f"results/{path.name}": path.read_text() for path in RESULTS.glob("*.md")},
    }


def write_pages(folder: Path, pages: Mapping[str, str]) -> None:
    """Make `folder` hold exactly `pages`. A file that is already right keeps its timestamp."""
    for path in folder.rglob("*.md"):
        if path.relative_to(folder).as_posix() not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def link_results(source: str) -> str:
    """Replace links to result pages by links to their copies inside the site.

    The pages in `docs/` link to `../benchmarks/results/`, so that the links also work on GitHub.
    """
    return source.replace("](../benchmarks/results/", "](generated/results/")


def link_recipes(source: str) -> str:
    """Link the recipes in the first column of a table to their pages, which only the site has."""
    names = "|".join(map(re.escape, RECIPES))
    return re.sub(
        rf"^\| `({names})` \|", r"| [\1](generated/recipes/\1.md) |", source, flags=re.MULTILINE
    )


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.connect("builder-inited", _write_generated_pages)
    app.connect("source-read", _rewrite_source)
    return {"parallel_read_safe": True}


def _write_generated_pages(app: "Sphinx") -> None:
    write_pages(Path(app.srcdir) / "generated", generated_pages())


def _rewrite_source(app: "Sphinx", page: str, content: list[str]) -> None:
    content[0] = link_recipes(link_results(content[0]))
