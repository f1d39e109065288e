"""Sphinx extension that writes the reference pages from the code before each build.

The pages go to `docs/generated/`, which is not tracked. Files whose name ends in `.inc.md` are
included by a hand-written page; the others are pages of their own. Nothing here imports torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_pages.command_line import datafree_edge_commands, targets_commands
from reference_pages.recipes import methods_table, recipe_pages
from reference_pages.run_file import run_file_reference
from reference_pages.scores import RESULTS

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def generated_pages() -> dict[str, str]:
    """Return the text of every generated file by its path below `docs/generated/`."""
    return {
        "run_file.inc.md": run_file_reference(),
        "datafree_edge.inc.md": datafree_edge_commands(),
        "targets.inc.md": targets_commands(),
        "methods_table.inc.md": methods_table(page_links="generated/recipes/{name}.md"),
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


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register the extension with Sphinx."""
    app.connect("builder-inited", _write_generated_pages)
    app.connect("source-read", _rewrite_source)
    return {"parallel_read_safe": True}


def _write_generated_pages(app: "Sphinx") -> None:
    write_pages(Path(app.srcdir) / "generated", generated_pages())


def _rewrite_source(app: "Sphinx", page: str, content: list[str]) -> None:
    content[0] = link_results(content[0])
