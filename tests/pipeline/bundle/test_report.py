"""The page of a run's results."""

import json
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from pipeline.bundle.hop_losses import hop_losses, loss_sentence
from pipeline.bundle.report_texts import (
    family_rows,
    latency_words,
    repeat_command,
    run_file_text,
    size_words,
    verdict_sentence,
)
from pipeline.bundle.run_figures import run_figures
from pipeline.config.run_file import read_run_file
from targets.bundle.verdict import wilson
from tests.support.figures import make_manifest
from tests.support.large_report import write_large_report
from tests.support.quick_run import EXAMPLE


class Elements(HTMLParser):
    """Collects elements with their attributes, and the text of the page."""

    def __init__(self):
        super().__init__()
        self.elements, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def manifest(same_bundle):
    return json.loads((same_bundle / "manifest.json").read_text())


@pytest.fixture(scope="module")
def page(same_bundle):
    return (same_bundle / "report.html").read_text()


@pytest.fixture(scope="module")
def parsed(page):
    (parser := Elements()).feed(page)
    return parser


def test_page_is_one_small_file_without_references(page, parsed):
    assert len(page.encode()) < 5e6
    names = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert set(re.findall(r"https?://[^\"'\s<]+", page)) <= names
    for tag, attributes in parsed.elements:
        assert tag not in ("script", "iframe", "object")
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)


def test_identifiers_are_unique_and_references_have_one(page, parsed):
    counts = Counter(attributes["id"] for _, attributes in parsed.elements if "id" in attributes)
    assert not [name for name, count in counts.items() if count > 1]
    used = re.findall(r'(?:xlink:href="|url\(|aria-labelledby=")#?([\w-]+)', page)
    assert used
    assert set(used) <= set(counts)


def test_first_heading_is_the_verdict(parsed, manifest):
    sentence = verdict_sentence(manifest)
    assert sentence.startswith("May ship: ")
    assert parsed.text.index(sentence) < parsed.text.index("What was made")
    assert next(tag for tag, _ in parsed.elements if tag in ("h1", "h2", "h3")) == "h1"


def test_page_has_every_figure_of_the_run(parsed, manifest):
    text = " ".join(parsed.text.split())
    assert loss_sentence(hop_losses(manifest)) in text
    assert manifest["teacher"]["fingerprint"] in text
    assert manifest["bundle"] in text
    assert all(sha256 in text for sha256 in manifest["files"].values())
    target = manifest["targets"]["local-cpu"]
    assert f"{target['int8']['bytes'] / 1000:,.1f} kB" in text
    assert target["because"] in text
    for layer in target["int8"]["layers"]:
        error = manifest["layer_errors"][layer["layer"]]
        row = f"{layer['layer']}{layer['kernel']}{100 * error:.2f} %{100 * layer['time_share']:.1f}"
        assert row in text.replace("\n", "")
    assert "generator 2" in text
    assert "None: no training collapsed" in text
    assert "datafree-edge run run.yaml --output bundles/same" in text


def test_images_and_charts_have_a_description(parsed):
    images = [attributes for tag, attributes in parsed.elements if tag == "img"]
    assert len(images) == 3 * 10
    assert len({image["alt"] for image in images}) == len(images)
    charts = [attributes for tag, attributes in parsed.elements if tag == "svg"]
    assert len(charts) >= 10
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)


def test_axes_name_their_units(page):
    texts = set(re.findall(r"<text [^>]*>([^<]+)</text>", page))
    assert {
        "loss (no unit)",
        "teacher's confidence (%)".replace("'", "&#39;"),
        "share of the gradient (%)",
        "agreement with the teacher (%)",
        "size (kB)",
        "latency of a batch (ms)",
        "student steps",
        "generated images",
    } <= {text.replace("'", "&#39;") for text in texts}


def test_run_file_of_the_page_repeats_the_run(manifest, tmp_path):
    text = run_file_text(manifest)
    weights = re.search("PATH OF .*", text)[0]
    assert manifest["teacher"]["fingerprint"][:12] in weights
    (tmp_path / "run.yaml").write_text(text.replace(weights, str(EXAMPLE / "teacher.safetensors")))
    config = read_run_file(tmp_path / "run.yaml")
    read = config.model_dump(mode="json", exclude={"teacher": {"weights"}})
    assert read == manifest["run"]
    assert repeat_command(manifest).split()[-1] == f"bundles/{manifest['name']}"


def test_page_of_a_large_network_has_every_part_and_stays_small(same_bundle, tmp_path):
    write_large_report(same_bundle, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert len(page.encode()) < 5e6
    (parser := Elements()).feed(page)
    text = " ".join(parser.text.split())
    assert "Must not ship" in text
    assert "The student big (5,000,000 parameters) was distilled from the teacher" in text
    assert "20 of 1000 classes, those with the most probes" in text
    assert "7: class 7 with a rather long name" in text
    assert "22.0 MB -> 5.6 MB" in text
    assert "not measured, because this machine has another CPU" in text
    assert "pending (no worker was asked for it)" in text
    assert "Warning: input: wrong" in text
    assert "round 12: rolled back" in text
    assert "/layer99/Conv" in text
    assert "thorint81.250 ms (batch 8)97.00 %" in text
    assert "distill40,0001,000,0004,000,0001,234.5" in text


@pytest.mark.parametrize(
    ("outcome", "start", "end"),
    [
        ("pass", "May ship: the int8 student gives the same answer", "at least 90 % is required."),
        ("fail", "Must not ship: ", "at least 90 % is required."),
        ("inconclusive", "Not decided: ", "90 % is required, and the threshold is inside."),
    ],
)
def test_verdict_is_one_sentence(outcome, start, end):
    verdict = {"outcome": outcome, "agreement": 0.95, "images": 2000, "threshold": 0.9}
    sentence = verdict_sentence({"verdict": {**verdict, "because": "the threshold is inside"}})
    assert sentence.startswith(start)
    assert "on 95.0 % of 2,000 synthetic test images" in sentence
    assert sentence.endswith(end)


def test_size_and_latency_in_words():
    target = run_figures(make_manifest()).targets["local-cpu"]
    assert size_words(target) == "50.0 kB instead of 200.0 kB (75 % smaller)"
    assert latency_words(target) == "0.200 ms instead of 0.400 ms (50 % shorter)"
    slower = run_figures(make_manifest(milliseconds=(0.2, 0.3))).targets["local-cpu"]
    assert latency_words(slower) == "0.300 ms instead of 0.200 ms (50 % longer)"
    untimed = run_figures(make_manifest(milliseconds=(None, None))).targets["local-cpu"]
    assert latency_words(untimed) == "not measured, because this machine has another CPU"


def test_left_over_probes_belong_to_the_last_generators():
    verdict = {"per_generator": [1.0, 0.5, 0.75], "confidence": 0.95}
    rows = family_rows({"verdict": verdict, "run": {"gate": {"images": 11, "generators": 3}}})
    assert [(name, count, share) for name, count, share, *_ in rows] == [
        *(("generator 1", 3, 1.0), ("generator 2", 4, 0.5), ("generator 3", 4, 0.75))
    ]
    assert rows[2][3:] == wilson(3, 4, 0.95)
