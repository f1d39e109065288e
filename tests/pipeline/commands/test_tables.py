"""No table cuts off a name or an identifier, neither in 80 columns nor in a pipe."""

import pytest
from rich.table import Column, Table

from pipeline.bundle.opening import open_bundle
from pipeline.bundle.summary import summary_table
from pipeline.commands.tables import print_table
from pipeline.config.chosen_recipes import chosen_recipe
from pipeline.config.recipe_card import recipe_card, recipe_list
from pipeline.releases import release_tables
from pipeline.releases.release_log import Release

LONG = "a-long-name." * 10
SHA = "0123456789abcdef" * 4


class OneRelease:
    url = f"s3://bucket/{LONG}"


@pytest.fixture
def release_store(monkeypatch):
    """A store with one release of a long name."""
    release = Release(SHA, SHA, SHA, "", f"instead of {SHA}", "20260101T120000.000000Z")
    manifest = {"teacher": {"fingerprint": SHA}, "verdict": {"agreement": 0.9876}}
    monkeypatch.setattr(release_tables, "release_names", lambda _: [LONG])
    monkeypatch.setattr(release_tables, "release_history", lambda *_: [release])
    monkeypatch.setattr(release_tables, "require_history", lambda *_: [release])
    monkeypatch.setattr(release_tables, "manifest_of", lambda *_: manifest)
    return OneRelease()


@pytest.fixture(params=["terminal", "pipe"])
def printed(request, monkeypatch, capsys):
    """Print a table and return its lines."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")
    if request.param == "terminal":
        monkeypatch.setenv("TTY_COMPATIBLE", "1")

    def print_lines(table):
        print_table(table)
        lines = capsys.readouterr().out.splitlines()
        if request.param == "terminal":
            assert max(map(len, lines)) <= 80
        assert not any("\N{HORIZONTAL ELLIPSIS}" in line for line in lines)
        return lines

    print_lines.is_terminal = request.param == "terminal"
    return print_lines


def columns(lines):
    """Return the text of each column, with the lines of a folded cell joined."""
    rows = [
        line.replace("\N{BOX DRAWINGS HEAVY VERTICAL}", "\N{BOX DRAWINGS LIGHT VERTICAL}")
        for line in lines
    ]
    cells = [row.split("\N{BOX DRAWINGS LIGHT VERTICAL}")[1:-1] for row in rows]
    return [
        "".join(cell.strip() for cell in column)
        for column in zip(*filter(None, cells), strict=True)
    ]


def test_releases(printed, release_store):
    lines = printed(release_tables.releases_table(release_store))
    found = columns(lines)
    assert LONG in found[0]
    assert LONG in "".join(line.strip() for line in lines)
    assert any(f" {SHA[:12]} " in line for line in lines)
    assert any(" 2026-01-01 12:00 " in line for line in lines)


def test_history(printed, release_store):
    lines = printed(release_tables.history_table(release_store, LONG))
    assert LONG in "".join(line.strip() for line in lines)
    assert any(f" {SHA[:12]} " in line for line in lines)


def test_recipes(printed):
    lines = printed(recipe_list())
    assert any("\N{BOX DRAWINGS LIGHT VERTICAL} house-quantize " in line for line in lines)
    shown = "".join(columns(printed(recipe_card(chosen_recipe("pre-dfkd", {})))))
    assert "student_lr" in shown


def test_summary(printed, same_bundle, tmp_path):
    manifest = open_bundle(same_bundle)
    manifest["name"] = LONG
    manifest["student"] = f"package.{LONG}:factory"
    lines = printed(summary_table(manifest, tmp_path / LONG))
    assert LONG in "".join(line.strip() for line in lines)
    labels, values = columns(lines)
    assert "agreement with the teacher".replace(" ", "") in labels.replace(" ", "")
    assert manifest["student"] in values
    assert str(tmp_path / LONG) in values


def test_column_that_may_not_wrap_stays_whole(printed):
    table = Table(Column("id", no_wrap=True), "text")
    table.add_row(SHA[:40], "word " * 30)
    assert any(SHA[:40] in line for line in printed(table))
