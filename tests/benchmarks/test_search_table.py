"""Tables of trials: every trial is kept, and the committed pages match their rows."""

import json

import pytest

from benchmarks import result_pages
from benchmarks.mnist import held_out_search
from benchmarks.quantization import search as quantization_search
from benchmarks.search_table import add_trial, render_trials


@pytest.mark.parametrize(
    ("name", "module"),
    [("held_out_search", held_out_search), ("quantization_search", quantization_search)],
)
def test_committed_page_matches_its_rows(name, module):
    rows = json.loads((result_pages.RESULTS / f"{name}.json").read_text())
    page = render_trials(module.HEADING, module.COLUMNS, rows)
    assert (result_pages.RESULTS / f"{name}.md").read_text() == page


def test_add_trial_keeps_earlier_trials(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(result_pages, "RESULTS", tmp_path)
    for number in (1, 2):
        row = {"a": number, "b": "x", "machine": "y"}
        add_trial("trials", "# Trials", ("a", "b"), row)
    assert [row["a"] for row in json.loads((tmp_path / "trials.json").read_text())] == [1, 2]
    table = "| a | b |\n| --- | --- |\n| 1 | x |\n| 2 | x |\n"
    assert (tmp_path / "trials.md").read_text() == f"# Trials\n\n{table}"
    assert '"a": 2' in capsys.readouterr().out
