"""Serving files: their numbers and the loader's behavior."""

import ast
import configparser
import ctypes
import dataclasses
import runpy
import sys
import types

import pytest

from targets.on_device.serving import (
    LOADER_TEMPLATE,
    SERVING_FILES,
    deepstream_config,
    loader_script,
    remove_serving_files,
    triton_config,
    write_serving_files,
)
from targets.tensorrt.engine import Engine
from targets.tensorrt.fingerprint import Fingerprint
from targets.tensorrt.options import Options

GRAY = {"shape": [1, 32, 32], "mean": [0.1307], "std": [0.3081], "value_range": [0, 1]}
COLOUR = {
    "shape": [3, 32, 32],
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "value_range": [0, 1],
}


def engine(folder, precision="int8", shape=(None, 1, 32, 32)):
    options = Options(precision, "strong", batch=4, largest=500)
    path = folder / f"student.{precision}.engine"
    fingerprint = Fingerprint("g", "10.3.0", "12.6", "8.7", "orin-nano-8", "36.4.3", "15W", "{}")
    return Engine(path, fingerprint, options, shape, [], False)


def manifest(section=GRAY, names=("zero", "one"), preprocessing=False):
    run = {"export": {"preprocessing": preprocessing}, "teacher": {"classes": 10}}
    return {"input": section, "teacher": {"class_names": list(names)}, "run": run}


def properties(text):
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return parser["property"]


@pytest.mark.parametrize("pixel", [0, 1, 128, 255])
def test_deepstream_config_normalizes_like_the_teacher(tmp_path, pixel):
    found = properties(deepstream_config(engine(tmp_path), GRAY, True))
    factor, offset = float(found["net-scale-factor"]), float(found["offsets"])
    assert factor * (pixel - offset) == pytest.approx((pixel / 255 - 0.1307) / 0.3081, abs=1e-5)
    assert (found["infer-dims"], found["model-color-format"]) == ("1;32;32", "2")
    assert (found["network-mode"], found["batch-size"]) == ("1", "4")
    assert found["model-engine-file"] == "student.int8.engine"


def test_deepstream_config_states_the_error_of_one_factor(tmp_path):
    text = deepstream_config(engine(tmp_path, "fp16"), COLOUR, False)
    assert "error up to 1.3 %" in text
    found = properties(text)
    offsets = [float(offset) for offset in found["offsets"].split(";")]
    assert offsets == pytest.approx([255 * mean for mean in COLOUR["mean"]], rel=1e-5)
    assert float(found["net-scale-factor"]) == pytest.approx(1 / (255 * 0.226))
    assert (found["network-mode"], found["model-color-format"]) == ("2", "0")
    assert "labelfile-path" not in found


def test_triton_config_has_the_engines_batch_size(tmp_path):
    text = triton_config(engine(tmp_path), GRAY, manifest())
    assert "max_batch_size: 500" in text
    assert 'name: "images" data_type: TYPE_FP32 dims: [1, 32, 32]' in text
    assert 'name: "logits" data_type: TYPE_FP32 dims: [10]' in text
    fixed = triton_config(
        engine(tmp_path, shape=(2, 1, 32, 32)), GRAY, manifest(preprocessing=True)
    )
    assert "max_batch_size: 0" in fixed
    assert "data_type: TYPE_UINT8 dims: [2, 1, 32, 32]" in fixed


def test_write_serving_files_writes_all_files(tmp_path):
    write_serving_files(tmp_path, engine(tmp_path), manifest())
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"deepstream.txt", "labels.txt", "config.pbtxt", "load.py"}
    assert (tmp_path / "labels.txt").read_text() == "zero;one\n"
    assert "student.int8.engine" in (tmp_path / "load.py").read_text()


def test_remove_serving_files_keeps_only_the_engine(tmp_path):
    write_serving_files(tmp_path, engine(tmp_path), manifest())
    (tmp_path / "student.int8.engine").write_text("engine")
    assert {path.name for path in tmp_path.iterdir()} == {*SERVING_FILES, "student.int8.engine"}
    remove_serving_files(tmp_path)
    remove_serving_files(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["student.int8.engine"]


def test_graph_that_takes_pixels_gets_no_deepstream_config(tmp_path):
    write_serving_files(tmp_path, engine(tmp_path), manifest(names=(), preprocessing=True))
    assert {path.name for path in tmp_path.iterdir()} == {"config.pbtxt", "load.py"}


def test_loader_of_an_accelerator_sets_its_core(tmp_path):
    plain = engine(tmp_path)
    options = dataclasses.replace(plain.options, dla_core=1)
    text = loader_script(dataclasses.replace(plain, options=options))
    ast.parse(text)
    assert "runtime = trt.Runtime(trt.Logger())\nruntime.DLA_core = 1\n" in text
    assert "DLA" not in loader_script(plain)


def test_loader_is_valid_python_and_short():
    ast.parse(LOADER_TEMPLATE)
    assert len([line for line in LOADER_TEMPLATE.splitlines() if line]) <= 32


class Cuda:
    """A stand-in for the CUDA runtime that reports a compute capability."""

    def __init__(self, capability):
        self.numbers = dict(zip((75, 76), capability, strict=True))

    def cudaDeviceGetAttribute(self, place, attribute, device):  # noqa: N802
        place._obj.value = self.numbers[attribute]


@pytest.fixture
def load(monkeypatch, tmp_path):
    """Return a function that runs the loader from another folder and returns the bytes it read."""

    def _load(version="10.3.0.26", capability=(8, 7), opens=True):
        read = []

        class Runtime:
            def __init__(self, logger):
                pass

            def deserialize_cuda_engine(self, plan):
                read.append(plan)
                loaded = types.SimpleNamespace(create_execution_context=lambda: "context")
                return loaded if opens else None

        names = {"__version__": version, "Logger": lambda: None, "Runtime": Runtime}
        monkeypatch.setitem(sys.modules, "tensorrt", types.SimpleNamespace(**names))
        monkeypatch.setattr(ctypes, "CDLL", lambda name: Cuda(capability))
        folder = tmp_path / "built"
        folder.mkdir()
        (folder / "student.int8.engine").write_bytes(b"plan")
        (folder / "load.py").write_text(loader_script(engine(folder)))
        monkeypatch.chdir(tmp_path)
        assert runpy.run_path(str(folder / "load.py"))["context"] == "context"
        return read

    return _load


def test_loader_finds_the_engine_beside_itself(load):
    assert load() == [b"plan"]


@pytest.mark.parametrize(
    "here",
    [{"version": "10.3.1.2"}, {"capability": (8, 9)}, {"opens": False}],
    ids=["tensorrt", "gpu", "refused"],
)
def test_loader_refuses_an_engine_for_another_device_in_one_line(load, here):
    with pytest.raises(SystemExit) as caught:
        load(**here)
    message = str(caught.value)
    assert message.startswith("student.int8.engine needs TensorRT 10.3.0 on 8.7, found 10.3.")
    assert message.endswith("; compile it on this device") and "\n" not in message
