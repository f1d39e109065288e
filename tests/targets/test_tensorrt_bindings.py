"""The Python way to an engine: with a stand-in, and against the names of the real bindings."""

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from targets.serving import LOADER
from targets.tensorrt import bindings
from targets.tensorrt.bindings import find_bindings
from targets.tensorrt.failures import BuildError
from targets.tensorrt.plan import DLA_CACHE, Options, Places

STAND_IN = Path(__file__).parent / "bindings_stand_in"

DYNAMIC = (None, 3, 8, 8)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Builds with the stand-in of a version; gives what it was asked, its log and its layers."""

    def _asked(version, options, shape=DYNAMIC, fails=""):
        path = os.pathsep.join([str(STAND_IN), os.environ.get("PYTHONPATH", "")])
        monkeypatch.setenv("PYTHONPATH", path)
        monkeypatch.setenv("STANDIN_VERSION", version)
        monkeypatch.setenv("STANDIN_FAILS", fails)
        names = ("g.onnx", "e.part", "t.cache", "l.json", "t.json")
        places = Places(*(tmp_path / name for name in names))
        found = find_bindings()
        assert found.version[:2] == tuple(map(int, version.split(".")))
        found.build(options, places, shape, tmp_path / "log", 60)
        return json.loads(places.engine.read_text())

    return _asked


@pytest.mark.parametrize(
    ("version", "typing", "precision", "network", "flags"),
    [
        ("8.5", "weak", "int8", 0b01, [1, 0]),
        ("8.6", "weak", "fp16", 0b01, [0]),
        ("10.3", "strong", "int8", 0b11, []),
        ("10.3", "weak", "int8", 0b01, [1, 0]),
        ("11.1", "strong", "fp16", 0b10, []),
    ],
)
def test_each_generation_is_asked_in_its_own_words(
    asked, version, typing, precision, network, flags
):
    built = asked(version, Options(precision, typing, batch=2, largest=8, workspace_mib=64))
    assert (built["network_flags"], built["flags"]) == (network, flags)
    assert built["graph"].endswith("g.onnx")
    assert built["pool"] == {"0": 64 << 20}
    assert built["profiles"] == [["images", [1, 3, 8, 8], [2, 3, 8, 8], [8, 3, 8, 8]]]
    assert built["profiling_verbosity"] == 2


def test_a_fixed_batch_needs_no_profile(asked):
    assert asked("10.3", Options("int8", "strong"), (1, 3, 8, 8))["profiles"] == []


def test_an_accelerator_falls_back_to_the_gpu(asked):
    built = asked("8.6", Options("fp16", "weak", dla_core=1), (1, 3, 8, 8))
    assert (built["default_device_type"], built["DLA_core"]) == (1, 1)
    assert 3 in built["flags"]
    assert "scales" not in built


def test_an_accelerator_is_asked_first_and_gets_its_scales_for_int8(asked, tmp_path):
    (tmp_path / DLA_CACHE).write_text("TRT-8600-EntropyCalibration2\n")
    built = asked("8.6", Options("int8", "weak", dla_core=0), (1, 3, 8, 8))
    assert built["scales"] == "TRT-8600-EntropyCalibration2\n"
    log = (tmp_path / "log").read_text()
    assert "[DLA] can run conv\n[DLA] cannot run softmax\n" in log


def test_the_timing_cache_grows_and_the_layers_are_kept(asked, tmp_path):
    for _ in range(2):
        asked("10.3", Options("int8", "strong"))
    assert (tmp_path / "t.cache").read_bytes() == b"++"
    assert json.loads((tmp_path / "l.json").read_text())["Layers"][0]["Name"] == "conv"
    assert not list(tmp_path.glob("*.build.json"))


def test_every_error_of_the_parser_is_in_the_log_with_its_node(asked, tmp_path):
    with pytest.raises(BuildError) as caught:
        asked("10.3", Options("int8", "strong"), fails="parse")
    assert caught.value.failure.kind == "unsupported-node"
    assert "Mystery" in caught.value.failure.diagnosis
    assert (tmp_path / "log").read_text().count("[E] node 7: No importer registered") == 2


def test_a_build_that_gives_nothing_is_no_engine(asked, tmp_path):
    with pytest.raises(BuildError):
        asked("10.3", Options("int8", "strong"), fails="build")
    assert not (tmp_path / "e.part").exists()


def test_without_bindings_there_are_none(monkeypatch):
    monkeypatch.setattr(bindings, "ASKED", "import a_module_that_is_not_there")
    assert find_bindings() is None


WHEELS = {
    "8.6": ("tensorrt-bindings==8.6.1", "8"),
    "10.3": ("tensorrt-cu12-bindings==10.3.0", "10"),
    "10.16": ("tensorrt-cu12-bindings==10.16.1.11", "10"),
    "11.4": ("tensorrt-cu13-bindings==11.4.0.106", "11"),
}

LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser", "nvparsers")

LOOKED_UP = re.compile(r"(?:createInfer|createNv|getBuilder|getPlugin|getNv|initLibNv|_ZN\d+nv)\w+")
"""What the bindings take from TensorRT's libraries when they are imported."""

GONE = {
    "8.6": {"trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED"},
    "10.3": set(),
    "10.16": set(),
    "11.4": {
        "trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH",
        "trt.BuilderFlag.FP16",
        "trt.BuilderFlag.INT8",
        "trt.IInt8EntropyCalibrator2",
        "trt.IBuilderConfig.int8_calibrator",
    },
}
"""Names that a generation lacks, every one of which is asked for only where it is there."""

MEMBERS = {
    "Builder": (
        *("create_network", "create_builder_config", "create_optimization_profile"),
        "build_serialized_network",
    ),
    "OnnxParser": ("parse_from_file", "num_errors", "get_error"),
    "ParserError": ("node", "desc"),
    "IBuilderConfig": (
        *("set_memory_pool_limit", "profiling_verbosity", "set_flag", "default_device_type"),
        *("DLA_core", "add_optimization_profile", "create_timing_cache", "set_timing_cache"),
        *("get_timing_cache", "can_run_on_DLA", "int8_calibrator"),
    ),
    "INetworkDefinition": ("num_layers", "get_layer"),
    "ILayer": ("name",),
    "IOptimizationProfile": ("set_shape",),
    "ITimingCache": ("serialize",),
    "Runtime": ("deserialize_cuda_engine", "DLA_core"),
    "ICudaEngine": ("create_engine_inspector", "create_execution_context"),
    "EngineInspector": ("get_engine_information",),
    "IExecutionContext": (
        *("set_input_shape", "get_tensor_shape", "set_tensor_address", "execute_async_v3"),
    ),
}
"""Methods and properties that are called, by the class that must have them."""


def names_used():
    """Every `trt.X.Y` of the builder and the loader, and the flags asked for by name."""
    used = set()
    for text in (Path(bindings.__file__).read_text(), LOADER):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute):
                written = ast.unparse(node).replace("self.trt", "trt")
                if written.startswith("trt.") and "(" not in written:
                    used.add(written)
    flags = ("EXPLICIT_BATCH", "STRONGLY_TYPED")
    used |= {f"trt.NetworkDefinitionCreationFlag.{name}" for name in flags}
    return used | {f"trt.BuilderFlag.{name}" for name in ("INT8", "FP16")}


def methods_called():
    """Every attribute of the builder's and loader's objects that is neither trt's nor Python's."""
    called = set()
    for text in (Path(bindings.__file__).read_text(), LOADER):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute):
                called.add(node.attr)
    return called


def test_every_member_listed_is_called():
    listed = {name for names in MEMBERS.values() for name in names}
    assert listed <= methods_called()


SCRIPT = """
import importlib, json, operator, sys
trt = importlib.import_module("tensorrt_bindings")
wanted, gone, members = json.loads(sys.argv[1])

def there(name):
    try:
        operator.attrgetter(name.removeprefix("trt."))(trt)
    except AttributeError:
        return False
    return True

wrong = [f"missing {name}" for name in wanted if not there(name)]
wrong += [f"unexpected {name}" for name in gone if there(name)]
for kind, names in members.items():
    wrong += [f"missing {kind}.{name}" for name in names if not there(f"trt.{kind}.{name}")]
print(json.dumps([trt.__version__, wrong]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("version", WHEELS)
def test_every_name_is_in_the_real_bindings(version, tmp_path):
    wheel, soname = WHEELS[version]
    unpacked = tmp_path / "unpacked"
    fetch(wheel, tmp_path, unpacked)
    libraries = empty_libraries(tmp_path / "libraries", soname, next(unpacked.rglob("*.so")))
    members = {
        kind: [name for name in names if f"trt.{kind}.{name}" not in GONE[version]]
        for kind, names in MEMBERS.items()
    }
    asked = [sorted(names_used() - GONE[version]), sorted(GONE[version]), members]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(asked)],
        env={**os.environ, "LD_LIBRARY_PATH": str(libraries), "PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-1000:]
    number, wrong = json.loads(done.stdout)
    assert number.startswith(version)
    assert wrong == []


def fetch(wheel, folder, unpacked):
    """The wheel, unpacked and not installed; the test is skipped where it cannot be had."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", wheel]
    fetched = subprocess.run(
        [*command, "--dest", folder], capture_output=True, text=True, check=False
    )
    found = list(folder.glob("*.whl"))
    if not found:
        # NVIDIA's wheels are not ours to commit: without the network there is nothing to look at.
        pytest.skip(f"{wheel} cannot be fetched: {fetched.stderr[-200:]}")
    zipfile.ZipFile(found[0]).extractall(unpacked)


def empty_libraries(place, soname, bindings_file):
    """Libraries that hold what the bindings look up at import, each function giving nothing."""
    place.mkdir()
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", bindings_file], capture_output=True, text=True, check=True
    ).stdout
    names = sorted(set(LOOKED_UP.findall(listed)))
    source = place / "empty.c"
    source.write_text("\n".join(f"void *{name}(void) {{ return 0; }}" for name in names))
    for library in LIBRARIES:
        output = place / f"lib{library}.so.{soname}"
        command = ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{output.name}", "-o", output]
        subprocess.run([*command, source], check=True)
    return place
