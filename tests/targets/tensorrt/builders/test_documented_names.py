"""Every TensorRT name in the code exists in the real bindings of each version."""

import ast
import dataclasses
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from targets.on_device.serving import LOADER_TEMPLATE
from targets.tensorrt.builders import bindings
from targets.tensorrt.options import BuildFiles, Options

WHEELS = {
    "8.6": ("tensorrt-bindings==8.6.1", "8"),
    "10.3": ("tensorrt-cu12-bindings==10.3.0", "10"),
    "10.16": ("tensorrt-cu12-bindings==10.16.1.11", "10"),
    "11.4": ("tensorrt-cu13-bindings==11.4.0.106", "11"),
}

LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser", "nvparsers")

LOOKED_UP = re.compile(r"(?:createInfer|createNv|getBuilder|getPlugin|getNv|initLibNv|_ZN\d+nv)\w+")
"""Symbols that the bindings look up in TensorRT's libraries at import."""

MISSING_NAMES = {
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
"""Names that a version lacks; the code uses them only if they exist."""

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
"""Methods and properties in use, by class."""


def names_used():
    """Return every `trt.X.Y` of the builder and the loader, and the flags looked up by name."""
    used = set()
    for text in (Path(bindings.__file__).read_text(), LOADER_TEMPLATE):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute):
                written = ast.unparse(node).replace("self.trt", "trt")
                if written.startswith("trt.") and "(" not in written:
                    used.add(written)
    flags = ("EXPLICIT_BATCH", "STRONGLY_TYPED")
    used |= {f"trt.NetworkDefinitionCreationFlag.{name}" for name in flags}
    return used | {f"trt.BuilderFlag.{name}" for name in ("INT8", "FP16")}


OWN_ATTRIBUTES = {
    *("trt", "options", "files", "shape", "logger", "builder", "calibrator"),
    *(
        "_network_flags",
        "_config",
        "_print_parser_errors",
        "_print_dla_support",
        "_layers",
        "build",
    ),
    *(field.name for kind in (Options, BuildFiles) for field in dataclasses.fields(kind)),
}
"""Attributes of this project's own objects."""

OTHER_ATTRIBUTES = {
    *("dataclass", "asdict", "dumps", "loads", "search", "groups", "executable", "stderr", "argv"),
    *("import_module", "exit", "items", "values", "graph", "op_type", "output"),
    *("read_bytes", "write_bytes", "read_text", "write_text", "exists", "unlink"),
    *("with_name", "with_suffix", "join", "split"),
    *("CDLL", "byref", "c_int", "c_size_t", "c_void_p", "memmove", "value", "shape", "nbytes"),
    *("ascontiguousarray", "empty", "float32", "ctypes", "data"),
    *("cudaDeviceGetAttribute", "cudaMallocManaged", "cudaDeviceSynchronize", "cudaFree"),
}
"""Attributes of objects of Python, NumPy, ONNX and CUDA."""


def members_used():
    """Return every other attribute in the builder and the loader: TensorRT's."""
    used = set()
    for text in (Path(bindings.__file__).read_text(), LOADER_TEMPLATE):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute):
                written = ast.unparse(node).replace("self.trt", "trt")
                if "(" in written or not written.startswith("trt."):
                    used.add(node.attr)
    return used - OWN_ATTRIBUTES - OTHER_ATTRIBUTES


def test_members_table_equals_the_members_in_use():
    """Otherwise a member would not be compared with the real bindings."""
    assert members_used() == {name for names in MEMBERS.values() for name in names}


SCRIPT = """
import importlib, json, operator, sys
trt = importlib.import_module("tensorrt_bindings")
required, absent, members = json.loads(sys.argv[1])

def exists(name):
    try:
        operator.attrgetter(name.removeprefix("trt."))(trt)
    except AttributeError:
        return False
    return True

wrong = [f"missing {name}" for name in required if not exists(name)]
wrong += [f"unexpected {name}" for name in absent if exists(name)]
for kind, names in members.items():
    wrong += [f"missing {kind}.{name}" for name in names if not exists(f"trt.{kind}.{name}")]
print(json.dumps([trt.__version__, wrong]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("version", WHEELS)
def test_every_name_exists_in_the_real_bindings(version, tmp_path):
    wheel, soname = WHEELS[version]
    unpacked = tmp_path / "unpacked"
    fetch(wheel, tmp_path, unpacked)
    libraries = empty_libraries(tmp_path / "libraries", soname, next(unpacked.rglob("*.so")))
    members = {
        kind: [name for name in names if f"trt.{kind}.{name}" not in MISSING_NAMES[version]]
        for kind, names in MEMBERS.items()
    }
    arguments = [
        sorted(names_used() - MISSING_NAMES[version]),
        sorted(MISSING_NAMES[version]),
        members,
    ]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(arguments)],
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
    """Download and unpack a wheel without installing it; skip the test without network."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", wheel]
    fetched = subprocess.run(
        [*command, "--dest", folder], capture_output=True, text=True, check=False
    )
    found = list(folder.glob("*.whl"))
    if not found:
        # NVIDIA's license does not allow committing the wheels.
        pytest.skip(f"{wheel} cannot be downloaded: {fetched.stderr[-200:]}")
    zipfile.ZipFile(found[0]).extractall(unpacked)


def empty_libraries(place, soname, bindings_file):
    """Compile libraries with the symbols that the bindings look up; every function returns null."""
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
