"""Engines built with the stand-in for trtexec."""

import pytest

from targets.tensorrt.build import build
from targets.tensorrt.builders.trtexec import find_trtexec
from tests.support.graphs import quantized_convolution
from tests.support.trtexec.install import DEVICE, INT8, install_trtexec_stand_in

ROLES = ("fp32", "fp16", "int8", "int8-float-weights", "int8-fp16")


@pytest.fixture
def graphs(tmp_path):
    """The same graph in the place of every form: what a build needs of them is that they differ."""
    folder = tmp_path / "graphs"
    folder.mkdir()
    for index, role in enumerate(ROLES):
        model = quantized_convolution(seed=index)
        (folder / f"student.{role}.onnx").write_bytes(model.SerializeToString())
    return folder


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "engines"
    place.mkdir()
    return place


@pytest.fixture
def said():
    return []


@pytest.fixture
def make(monkeypatch, tmp_path, graphs, folder, said):
    """Builds with the stand-in of a version."""

    def _make(version="8.5", device=DEVICE, options=INT8, fails=""):
        install_trtexec_stand_in(monkeypatch, tmp_path, version)
        monkeypatch.setenv("STANDIN_FAILS", fails)
        return build(find_trtexec(), device, graphs, options, folder, said.append)

    return _make
