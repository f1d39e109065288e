"""Several runs side by side."""

import json

import pytest

from base.errors import InputError
from pipeline.bundle.comparison import compare
from tests.support.figures import make_manifest

HOPS = {
    name: {"agreement": share, "low": share - 0.01, "high": share}
    for name, share in {"float": 0.98, "fake-quantized": 0.96, "exported": 0.96}.items()
}


def manifest(name="net", probes="b" * 64, run=None, **changes):
    files = {"golden.npz": probes} if probes else {}
    return {**make_manifest(name), "files": files, "run": run or {}, "hops": HOPS, **changes}


def rows(comparison):
    return {label: cells for label, *cells in comparison.figure_rows()}


def test_figures_are_side_by_side():
    found = rows(compare([manifest("a"), manifest("b", student="lenet5")]))
    assert found["student"] == ["lenet5-half", "lenet5"]
    assert found["verdict"] == ["pass", "pass"]
    assert found["points lost by distillation"] == ["2.00", "2.00"]
    assert found["points lost by compilation"] == ["1.00", "1.00"]
    assert found["local-cpu: size, fp32 -> int8"] == ["200.0 kB -> 50.0 kB (0.25)"] * 2
    assert found["local-cpu: recommended"] == ["int8", "int8"]


def test_what_a_run_lacks_is_left_blank():
    """Bundles of earlier versions have no hops; below 8 bits there is no target."""
    found = rows(compare([manifest(), manifest(hops={}), manifest(verdict=None, targets={})]))
    assert found["points lost by export"] == ["0.00", "-", "-"]
    assert found["verdict"] == ["pass", "pass", "none"]
    assert found["local-cpu: recommended"] == ["int8", "int8", "-"]


def test_only_settings_that_differ_are_listed():
    first = {"name": "a", "seed": 0, "distill": {"recipe": "house", "budget": {"steps": 4}}}
    second = {"name": "b", "seed": 0, "distill": {"recipe": "dafl", "budget": {"steps": 4}}}
    comparison = compare([manifest("a", run=first), manifest("b", run=second)])
    assert comparison.setting_rows() == [["distill.recipe", "house", "dafl"]]
    assert comparison.as_json()["settings"] == {"distill.recipe": {"a": "house", "b": "dafl"}}


@pytest.mark.parametrize(
    ("probes", "same"), [("bbb", True), ("bba", False), ("bb", True), (["b", ""], False)]
)
def test_note_says_whether_the_probes_are_the_same(probes, same):
    comparison = compare([manifest(probes=letter * 64) for letter in probes])
    assert comparison.same_probes == same
    assert comparison.note.startswith("All runs" if same else "The runs were not all judged")


def test_private_bundles_do_not_show_whether_their_probes_are_the_same():
    assert not compare([manifest(probes=""), manifest(probes="")]).same_probes


def test_runs_of_one_name_have_different_titles():
    comparison = compare([manifest(), manifest(), manifest()])
    assert [run.title for run in comparison.runs] == ["net", "net (2)", "net (3)"]


def test_json_has_every_run():
    document = json.loads(json.dumps(compare([manifest("a"), manifest("b")]).as_json()))
    assert [run["name"] for run in document["runs"]] == ["a", "b"]
    assert document["runs"][0]["hops"]["float student"]["agreement"] == 0.98
    assert document["runs"][1]["targets"]["local-cpu"]["int8_ms"] == 0.2
    assert document["same_probes"] is True


@pytest.mark.parametrize("change", [{"student": 1}, {"hops": {"float": {}}}, {"run": None}])
def test_malformed_manifest_is_refused_in_one_line(change):
    with pytest.raises(InputError, match="net: its manifest has other figures"):
        compare([manifest("first"), {**manifest(), **change}])
