"""The comparison of `score` on picture files with the arrays that they were made from."""

import json

import numpy as np
from PIL import Image

from benchmarks import result_pages, user_images
from tests.benchmarks.test_data import write_idx
from tests.support.brightness_bundle import write_brightness_bundle


def test_row_and_page(tmp_path, monkeypatch):
    values = np.array([0, 120, 250, 5, 130, 240], np.uint8)
    pixels = np.ones((6, 28, 28), np.uint8) * values[:, None, None]
    write_idx(tmp_path / "data", pixels, np.array([0, 1, 2, 2, 1, 2], np.uint8))
    bundle = write_brightness_bundle(tmp_path / "bundle")
    (tmp_path / "results").mkdir()
    monkeypatch.setattr(result_pages, "RESULTS", tmp_path / "results")
    user_images.main(bundle, "mnist", tmp_path / "data")
    (row,) = json.loads((tmp_path / "results" / "user_images.json").read_text())
    assert (row["images"], row["accuracy"], row["fp32_accuracy"]) == (6, 83.33, 83.33)
    assert (row["same_pixels"], row["unrounded"]) == (6, 6)
    assert (
        "| brightness | mnist | 6 | 83.33 |"
        in (tmp_path / "results" / "user_images.md").read_text()
    )


def test_pictures_keep_their_pixels_and_order(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 3, 5, 4), np.uint8)
    user_images.write_pictures(tmp_path, pixels, np.array([1, 0, 1], np.uint8))
    found = sorted(tmp_path.rglob("*.png"), key=lambda path: path.name)
    assert [path.parent.name for path in found] == ["1", "0", "1"]
    stored = [np.asarray(Image.open(path)).transpose(2, 0, 1) for path in found]
    assert np.array_equal(np.stack(stored), pixels)
