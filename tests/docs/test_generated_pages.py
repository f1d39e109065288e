"""The reference pages that are generated from the code."""

import re
import subprocess
import sys
from dataclasses import dataclass, replace

import pytest

from dfkd.recipes import RECIPES
from dfkd.recipes.house import HOUSE
from reference_pages import generated_pages, link_recipes, link_results, write_pages
from reference_pages.docstrings import attributes, summary
from reference_pages.markdown import table
from reference_pages.parts import generated_parts
from reference_pages.recipes import described, methods_table
from reference_pages.scores import NOT_MEASURED, RESULTS, better_setting, final_accuracy
from tests.support.quick_run import ROOT

DOCSTRING = """What it is.

    More of it.

    Attributes:
        first: One line.
        second: Two lines, of which this is the first
            and this the second.

    Raises:
        ValueError: Never.
    """


def test_summary_ends_before_the_first_section():
    assert summary(DOCSTRING) == "What it is.\n\nMore of it."


def test_attributes_join_continued_lines():
    assert attributes(DOCSTRING) == {
        "first": "One line.",
        "second": "Two lines, of which this is the first and this the second.",
    }


def test_table_escapes_pipes_and_line_breaks():
    assert table(("a",), [("x | y\nz",)]) == "| a |\n| --- |\n| x \\| y z |\n"


def test_described_shows_only_fields_that_differ_from_their_default():
    @dataclass
    class Inner:
        size: int = 1

    @dataclass
    class Part:
        rate: float
        inner: Inner
        kept: bool = False
        seed: int = 3

    assert described(Part(0.5, Inner(2))) == "Part: rate 0.5, inner (Inner: size 2)"


def test_every_recipe_has_a_page_with_its_settings_and_citation():
    pages = generated_pages()
    for name, recipe in RECIPES.items():
        page = pages[f"recipes/{name}.md"]
        assert recipe.citation.rstrip(".") in page
        assert all(f"`{setting}`" in page for setting in recipe.settings)
        assert all(term.name in page for term in recipe.terms)


def test_added_recipe_appears_in_the_methods_table(monkeypatch):
    monkeypatch.setitem(RECIPES, "added", replace(HOUSE, name="added", citation="Somebody 2030"))
    row = next(line for line in methods_table().splitlines() if "added" in line)
    assert row == f"| `added` | Somebody 2030 | no | {NOT_MEASURED} | {NOT_MEASURED} |"


@pytest.mark.parametrize("teacher", ["lenet5-bn", "lenet5"])
def test_scores_equal_the_benchmark_page(teacher):
    text = (RESULTS / "mnist.md").read_text()
    section = next(part for part in text.split("\n## ") if part.startswith(f"Teacher {teacher} ("))
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line[:1] == "|"][2:]
    published = {row[0]: row[3] for row in rows if row[3] != "-"}
    assert published == {name: final_accuracy(name, teacher) for name in published}


def test_better_setting_compares_the_seeds_that_both_have():
    def rows(*held_out):
        return [{"seed": seed, "held_out": value} for seed, value in enumerate(held_out)]

    cells = {("lenet5-bn", "common"): rows(50.0, 99.0), ("lenet5-bn", "paper"): rows(60.0)}
    assert better_setting(cells) == "paper"
    assert better_setting({}) == "common"


def test_write_pages_removes_stale_files_and_keeps_unchanged_ones(tmp_path):
    write_pages(tmp_path, {"a.md": "a", "deep/b.md": "b"})
    before = (tmp_path / "a.md").stat().st_mtime_ns
    write_pages(tmp_path, {"a.md": "a", "c.md": "c"})
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.md")}
    assert found == {"a.md", "c.md"}
    assert (tmp_path / "a.md").stat().st_mtime_ns == before


def test_links_to_results_point_to_the_copies_inside_the_site():
    assert (
        link_results("[x](../benchmarks/results/mnist.md#a)") == "[x](generated/results/mnist.md#a)"
    )


def test_recipes_in_a_table_are_linked_to_their_pages():
    row = "| `house` | ours |\n"
    assert link_recipes(f"| method |\n{row}") == (
        "| method |\n| [house](generated/recipes/house.md) | ours |\n"
    )
    for other in ("the recipe `house` |", "| `other` | `house` |"):
        assert link_recipes(other) == other


def test_command_reference_names_every_command():
    parts = generated_parts()["docs/commands.md"]
    for command in ("run", "check", "recipes", "validate", "lint", "fetch", "collect"):
        assert f"## `datafree-edge {command}`" in parts["datafree-edge"]
    for command in ("list", "show", "lint", "roofline", "compile", "selftest"):
        assert f"## `python -m targets {command}`" in parts["targets"]
    assert not re.search(r"/home/|/root/", "".join(parts.values()))


def test_command_reference_marks_required_options():
    rows = generated_parts()["docs/commands.md"]["datafree-edge"].splitlines()
    (images,) = (row for row in rows if row.startswith("| `--images` |"))
    assert images.endswith("| required |")


def test_generating_imports_no_torch():
    program = (
        "import sys; sys.path.insert(0, 'docs/_ext'); import reference_pages as r; "
        "from reference_pages.parts import generated_parts; "
        "r.generated_pages(); generated_parts(); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def test_run_file_reference_describes_every_key():
    part = generated_parts()["docs/run_file.md"]["run file"]
    rows = [line for line in part.splitlines() if "| `" in line[:3]]
    assert len(rows) > 40
    assert [row for row in rows if row.endswith("|  |")] == []
