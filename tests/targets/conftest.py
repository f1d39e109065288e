"""Fixtures: the files of a Jetson, and engines built with the stand-in for trtexec."""

import functools

import pytest

from targets.tensorrt.build import build
from targets.tensorrt.builders.trtexec import find_trtexec
from tests.support.graphs import quantized_convolution
from tests.support.jetson_files import write_jetson
from tests.support.trtexec.install import DEVICE, INT8, install_trtexec_stand_in

ROLES = ("fp32", "fp16", "int8", "int8-float-weights", "int8-fp16")


@pytest.fixture
def jetson(monkeypatch, tmp_path):
    """Return `write_jetson` for the test's temporary folder."""
    return functools.partial(write_jetson, monkeypatch, tmp_path)


@pytest.fixture
def graphs(tmp_path):
    """Return a folder with a different graph for every role."""
    folder = tmp_path / "graphs"
    folder.mkdir()
    for index, role in enumerate(ROLES):
        model = quantized_convolution(seed=index)
        (folder / f"student.{role}.onnx").write_bytes(model.SerializeToString())
    return folder


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "engines"
    folder.mkdir()
    return folder


@pytest.fixture
def messages():
    return []


@pytest.fixture
def make(monkeypatch, tmp_path, graphs, folder, messages):
    """Return a function that builds an engine with the stand-in of a TensorRT version."""

    def _make(version="8.5", device=DEVICE, options=INT8, fails=""):
        install_trtexec_stand_in(monkeypatch, tmp_path, version)
        monkeypatch.setenv("STANDIN_FAILS", fails)
        return build(find_trtexec(), device, graphs, options, folder, messages.append)

    return _make
