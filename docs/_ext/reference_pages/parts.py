"""The generated parts of tracked pages: each is between two marks."""

from collections.abc import Mapping

from reference_pages.command_line import datafree_edge_commands, targets_commands
from reference_pages.readme import readme_methods
from reference_pages.recipes import methods_table
from reference_pages.run_file import run_file_reference


def generated_parts() -> dict[str, dict[str, str]]:
    """Return the text of every generated part, by the path of its page and its name."""
    return {
        "README.md": {"methods": readme_methods()},
        "docs/methods.md": {"methods": methods_table()},
        "docs/run_file.md": {"run file": run_file_reference()},
        "docs/commands.md": {
            "datafree-edge": datafree_edge_commands(),
            "targets": targets_commands(),
        },
    }


def with_parts(page: str, parts: Mapping[str, str]) -> str:
    """Return the text of a page with these parts between their marks.

    Raises:
        ValueError: If the marks of a part are missing.
    """
    for name, part in parts.items():
        begin, end = marks(name)
        before, found, rest = page.partition(begin)
        _, closed, after = rest.partition(end)
        if not (found and closed):
            raise ValueError(f"no marks for the generated part {name!r}; add {begin} and {end}")
        page = f"{before}{begin}\n\n{part.strip()}\n\n{end}{after}"
    return page


def marks(name: str) -> tuple[str, str]:
    """Return the lines before and after a part."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
