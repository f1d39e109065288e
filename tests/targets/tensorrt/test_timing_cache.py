"""The timing cache is reused by device, TensorRT, CUDA and power mode."""

import dataclasses
from pathlib import Path

import pytest

from targets.tensorrt.timing_cache import timing_cache
from tests.support.trtexec.install import DEVICE

VERSION = (8, 5, 1)


@pytest.fixture
def messages():
    return []


@pytest.fixture
def build(monkeypatch, tmp_path, messages):
    """Return a function that builds with the cache, adds to it, and returns what was in it."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def _build(device=DEVICE, version=VERSION, adds="timings", fails=False):
        scratch = tmp_path / "scratch"
        with timing_cache(device, version, scratch, messages.append) as cache:
            found = cache.read_text() if cache.exists() else ""
            cache.write_text(found + adds)
            if fails:
                raise RuntimeError("no engine")
        assert not scratch.exists()
        return found

    return _build


def saved():
    folder = Path.home() / ".cache" / "datafree-edge" / "timing"
    return {path.name: path.read_text() for path in folder.iterdir()} if folder.exists() else {}


def test_next_build_gets_the_cache_of_the_last_one(build):
    assert build() == ""
    assert build() == "timings"
    assert saved() == {"orin-nano-8-tensorrt-8.5.1-cuda-12.6-15W.cache": "timingstimings"}


@pytest.mark.parametrize("field", ["target", "cuda", "power_mode", "tensorrt"])
def test_other_device_tensorrt_cuda_or_power_mode_starts_without_cache(build, field):
    build()
    if field == "tensorrt":
        assert build(version=(8, 6, 1)) == ""
    else:
        assert build(dataclasses.replace(DEVICE, **{field: "an/other"})) == ""
    assert len(saved()) == 2


@pytest.mark.parametrize("field", ["cuda", "power_mode"])
def test_device_with_unknown_facts_saves_no_cache(build, field):
    partly_unknown = dataclasses.replace(DEVICE, **{field: "unknown"})
    assert build(partly_unknown) == build(partly_unknown) == ""
    assert saved() == {}


def test_failed_build_does_not_change_the_cache(build, tmp_path):
    build()
    with pytest.raises(RuntimeError):
        build(fails=True)
    assert set(saved().values()) == {"timings"}
    assert not (tmp_path / "scratch").exists()


def test_cache_is_replaced_atomically(build):
    """A reader of the old file can read it to its end."""
    build()
    (path,) = (Path.home() / ".cache" / "datafree-edge" / "timing").iterdir()
    with path.open() as reader:
        build(adds="others")
        assert reader.read() == "timings"
    assert list(saved().values()) == ["timingsothers"]


def test_unwritable_cache_is_a_warning_only(build, messages, tmp_path):
    (tmp_path / "home").write_text("a file where a home should be")
    assert build() == ""
    assert len(messages) == 1 and "the timing cache could not be saved" in messages[0]
