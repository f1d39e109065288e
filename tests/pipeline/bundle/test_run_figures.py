"""The figures of runs that are compared."""

import json

import pytest

from base.untrusted_files import PARSE_ERRORS
from pipeline.bundle.run_figures import figures_from_json, run_figures
from pipeline.bundle.run_tables import agreement_text, latency_text, shown_bytes, size_text
from tests.support.figures import make_manifest


def test_figures_are_those_of_the_manifest():
    figures = run_figures(make_manifest(agreement=0.95))
    assert (figures.name, figures.student, figures.outcome) == ("net", "lenet5-half", "pass")
    assert (figures.agreement, figures.low, figures.high) == (0.95, 0.94, 0.96)
    target = figures.targets["local-cpu"]
    assert (target.size_ratio, target.speedup) == (0.25, 2.0)
    assert agreement_text(figures) == "95.00 % (94.00 to 96.00)"
    assert size_text(target) == "200.0 kB -> 50.0 kB (0.25)"
    assert latency_text(target) == "0.400 -> 0.200 ms (speedup 2.00)"


def test_target_that_was_not_timed_has_no_speedup():
    target = run_figures(make_manifest(milliseconds=(None, None))).targets["local-cpu"]
    assert target.speedup is None
    assert latency_text(target) == "not measured"


def test_run_below_8_bits_has_no_agreement():
    figures = run_figures({**make_manifest(), "verdict": None, "targets": {}})
    assert (figures.outcome, figures.agreement, figures.targets) == (None, None, {})
    assert agreement_text(figures) == "not measured"
    assert size_text(None) == "not exported"


def test_large_sizes_are_in_megabytes():
    assert (shown_bytes(999_949), shown_bytes(1_000_000)) == ("999.9 kB", "1.0 MB")


def test_json_has_all_figures():
    figures = run_figures(make_manifest())
    assert figures_from_json(json.loads(json.dumps(figures.as_json()))) == figures


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("agreement", wrong) for wrong in ("0.9", None, 1.1, -0.1, float("nan"), 10**400)],
        *[("outcome", wrong) for wrong in ("good", 1)],
        *[("name", wrong) for wrong in (None, 1)],
        ("targets", []),
    ],
)
def test_malformed_figures_are_refused(field, value):
    document = run_figures(make_manifest()).as_json()
    with pytest.raises(PARSE_ERRORS):
        figures_from_json({**document, field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [("fp32_bytes", 1.5), ("int8_bytes", 10**400), ("fp32_ms", "1"), ("recommended", 8)],
)
def test_malformed_figures_of_a_target_are_refused(field, value):
    document = run_figures(make_manifest()).as_json()
    document["targets"]["local-cpu"][field] = value
    with pytest.raises(PARSE_ERRORS):
        figures_from_json(document)
