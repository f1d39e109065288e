"""The page of the MNIST table."""

from benchmarks.mnist import __main__ as mnist
from benchmarks.mnist.jobs import SEEDS, Job
from benchmarks.mnist.page import render
from benchmarks.result_pages import RESULTS
from tests.benchmarks.mnist.rows import build_row


def test_committed_page_matches_its_rows():
    rows = mnist.read_rows()
    assert (RESULTS / "mnist.md").read_text() == render(rows, mnist.choose_settings(rows))


def test_page_marks_recipes_that_are_not_measured_or_need_batch_norm():
    page = render([build_row(Job("house", "own", "lenet5", seed)) for seed in SEEDS], {})
    assert "| ta-dfkd | needs batch norm |" in page
    assert "| dafl | not measured |" in page
    assert "not measured" in render([], {})


def test_cell_names_its_setting_if_the_better_one_is_not_measured():
    common, paper = (Job("dafl", setting, "smoothed", 0) for setting in ("common", "paper"))
    rows = [build_row(common, final=91.0)]
    assert "| 91.00 |" in render(rows, {})
    assert "| 91.00 (common) |" in render(rows, {"dafl": "paper"})
    both = render([*rows, build_row(paper, final=92.0)], {"dafl": "paper"})
    assert "| 92.00 |" in both and "91.00" not in both


def test_row_shows_the_common_setting_if_the_better_one_is_not_measured():
    on_main = [build_row(Job("mad", "common", "lenet5", seed), final=50.0) for seed in SEEDS]
    assert "| mad | common | 3 | 50.00 ± 0.00 |" in render(on_main, {"mad": "paper"})
    on_cifar = [build_row(Job("dfq-akd", "common", "cifar10-resnet20", 0), final=11.0)]
    assert "| dfq-akd | common | 11.00 |" in render(on_cifar, {"dfq-akd": "paper"})
