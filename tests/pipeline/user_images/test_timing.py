"""Timing the models of a bundle."""

import os

import pytest

from pipeline.bundle.opening import open_bundle
from pipeline.user_images import timing
from pipeline.user_images.bundle_models import bundle_models
from tests.support.brightness_bundle import write_brightness_bundle


@pytest.fixture(autouse=True)
def short_rounds(monkeypatch):
    monkeypatch.setattr(timing, "ROUND_S", 0.001)


@pytest.mark.parametrize("preprocessing", [False, True])
@pytest.mark.parametrize(("batch", "batches"), [(None, [1, 8]), (3, [3])])
def test_every_batch_size_is_timed_with_one_thread_and_all_cores(
    tmp_path, preprocessing, batch, batches
):
    write_brightness_bundle(tmp_path, preprocessing=preprocessing, batch=batch)
    found = timing.time_bundle(bundle_models(tmp_path, open_bundle(tmp_path)))
    threads = sorted({1, os.cpu_count()})
    assert [(t.threads, t.batch) for t in found] == [(n, b) for n in threads for b in batches]
    for each in found:
        assert each.repeats >= timing.MIN_REPEATS
        for precision in ("fp32", "int8"):
            low, high = each.spread[precision]
            assert 0 < low <= each.milliseconds[precision] <= high
        assert each.ratio == each.milliseconds["fp32"] / each.milliseconds["int8"]
