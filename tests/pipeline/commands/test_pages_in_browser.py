"""The pages in a headless Chromium: no message on the console, no finding of axe-core.

Pictures of every page are in the folder of the test, and with `--basetemp=FOLDER` below FOLDER.
"""

import json
import shutil
import subprocess
import sys

import pytest

from tests.support.large_report import write_large_report
from tests.support.quick_run import ROOT

pytestmark = pytest.mark.server

NARROW, WIDE = 390, 1280


def open_page(page, folder, scheme):
    """Return what `tests.support.open_page` found, by width."""
    command = [sys.executable, "-m", "tests.support.open_page", page, folder, scheme]
    result = subprocess.run(
        [*map(str, command), str(NARROW), str(WIDE)],
        capture_output=True,
        check=False,
        text=True,
        cwd=ROOT,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def check(page, folder, scheme):
    found = open_page(page, folder, scheme)
    assert list(found) == [str(NARROW), str(WIDE)]
    for width, result in found.items():
        assert result["console"] == []
        assert result["findings"] == []
        assert not result["overflow"], f"the page is wider than {width} pixels"
        assert result["dark"] == (scheme == "dark")
        for part in ("first-screen", "whole"):
            assert (folder / f"{page.stem}-{scheme}-{width}-{part}.png").stat().st_size > 10_000
    assert (folder / f"{page.stem}-{scheme}.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report_opens_without_errors(same_bundle, tmp_path, scheme):
    check(same_bundle / "report.html", tmp_path, scheme)


def test_report_of_a_large_network_opens_without_errors(same_bundle, tmp_path):
    write_large_report(same_bundle, tmp_path)
    check(tmp_path / "report.html", tmp_path, "dark")


def test_comparison_opens_without_errors(run, same_bundle, tmp_path):
    page = tmp_path / "comparison.html"
    copy = shutil.copytree(same_bundle, tmp_path / "copy")
    code, *_ = run("compare", same_bundle, copy, "--html", page, store=tmp_path)
    assert code == 0
    for scheme in ("light", "dark"):
        check(page, tmp_path, scheme)


def test_faults_of_a_page_are_found(tmp_path):
    page = tmp_path / "faulty.html"
    page.write_text(
        "<!doctype html><title>Faulty</title><img src='data:,'><p style='width:2000px'>wide</p>"
        "<script>console.error('an error')</script>"
    )
    result = open_page(page, tmp_path, "light")[str(NARROW)]
    assert "an error" in result["console"]
    assert "image-alt" in [rule for _, rule, _ in result["findings"]]
    assert result["overflow"]
