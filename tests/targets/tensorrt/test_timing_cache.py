"""Timings outlive a build and a bundle, by device, TensorRT, CUDA and power mode."""

import dataclasses
from pathlib import Path

import pytest

from targets.tensorrt.timing_cache import timing_cache
from tests.support.trtexec.install import DEVICE

VERSION = (8, 5, 1)


@pytest.fixture
def said():
    return []


@pytest.fixture
def build(monkeypatch, tmp_path, said):
    """A build that finds timings and leaves some; gives what it found."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))

    def _build(device=DEVICE, version=VERSION, leaves="timings", fails=False):
        scratch = tmp_path / "scratch"
        with timing_cache(device, version, scratch, said.append) as cache:
            found = cache.read_text() if cache.exists() else ""
            cache.write_text(found + leaves)
            if fails:
                raise RuntimeError("no engine")
        assert not scratch.exists()
        return found

    return _build


def kept():
    place = Path.home() / ".cache" / "datafree-edge" / "timing"
    return {path.name: path.read_text() for path in place.iterdir()} if place.exists() else {}


def test_the_next_build_finds_what_the_last_one_timed(build):
    assert build() == ""
    assert build() == "timings"
    assert kept() == {"orin-nano-8-tensorrt-8.5.1-cuda-12.6-15W.cache": "timingstimings"}


@pytest.mark.parametrize("field", ["target", "cuda", "power_mode", "tensorrt"])
def test_of_another_device_tensorrt_cuda_or_power_mode_there_are_none(build, field):
    build()
    if field == "tensorrt":
        assert build(version=(8, 6, 1)) == ""
    else:
        assert build(dataclasses.replace(DEVICE, **{field: "an/other"})) == ""
    assert len(kept()) == 2


@pytest.mark.parametrize("field", ["cuda", "power_mode"])
def test_of_a_device_that_does_not_tell_nothing_is_kept(build, field):
    blind = dataclasses.replace(DEVICE, **{field: "unknown"})
    assert build(blind) == build(blind) == ""
    assert kept() == {}


def test_what_fails_leaves_what_was_kept(build, tmp_path):
    build()
    with pytest.raises(RuntimeError):
        build(fails=True)
    assert set(kept().values()) == {"timings"}
    assert not (tmp_path / "scratch").exists()


def test_two_that_end_at_once_leave_one_whole_file(build):
    """What is kept is replaced as a whole: who reads it meanwhile has the old one to the end."""
    build()
    (path,) = (Path.home() / ".cache" / "datafree-edge" / "timing").iterdir()
    with path.open() as reader:
        build(leaves="others")
        assert reader.read() == "timings"
    assert list(kept().values()) == ["timingsothers"]


def test_what_cannot_be_kept_is_told_and_costs_nothing(build, said, tmp_path):
    (tmp_path / "home").write_text("a file where a home should be")
    assert build() == ""
    assert len(said) == 1 and "timings of this build could not be kept" in said[0]
