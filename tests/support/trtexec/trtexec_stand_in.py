#!/usr/bin/env python3
"""A stand-in for TensorRT's trtexec without a GPU: command line, files, failures.

STANDIN_VERSION selects the version whose flags are accepted; trtexec_flags.json has them from that
version's help. STANDIN_FAILS selects a kind of failure. STANDIN_COMPUTE selects the GPU.
An "engine" is a JSON note of what it was built from and for; it loads only on the same version and
GPU. It reports the layers of the graph, the logits of ONNX Runtime, and STANDIN_INT8_MS or
STANDIN_FP16_MS as its time.
"""

import importlib.util
import json
import os
import signal
import site
import sys
import time
from pathlib import Path

VERSION = os.environ["STANDIN_VERSION"]
FAILS = os.environ.get("STANDIN_FAILS", "")
FLAGS = json.loads(Path(__file__).with_name("trtexec_flags.json").read_text())["versions"][VERSION]
MAJOR, MINOR = map(int, VERSION.split("."))
BANNER = f"v{MAJOR * 10_000 + MINOR * 100}" if MAJOR >= 10 else f"v{MAJOR * 1000 + MINOR * 100 + 1}"

COMPUTE = os.environ.get("STANDIN_COMPUTE", "8.7")

UNPARSED_NODE = """\
[{time}] [I] [TRT] No importer registered for op: {op}. Attempting to import as plugin.
[{time}] [E] [TRT] 3: getPluginCreator could not find plugin: {op} version: 1
[{time}] [E] [TRT] ModelImporter.cpp:720: While parsing node number {number} [{op} -> "{output}"]:
[{time}] [E] [TRT] ModelImporter.cpp:721: --- Begin node ---
[{time}] [E] [TRT] ModelImporter.cpp:722: input: "40"
output: "{output}"
op_type: "{op}"

[{time}] [E] [TRT] ModelImporter.cpp:723: --- End node ---
[{time}] [E] [TRT] ModelImporter.cpp:726: ERROR: builtin_op_importers.cpp:4643 In function \
importFallbackPluginImporter:
[8] Assertion failed: creator && "Plugin not found, are the plugin name, version, and namespace \
correct?"
"""
"""Output for a node that the parser cannot read, quoted from zhangcheng828/TensorRT-Plugin#4."""

TIME = "11/22/2026-12:00:00"

FAILURE_OUTPUT = {
    "memory": "[E] Error[2]: [virtualMemoryBuffer.cpp] Error Code 2: OutOfMemory (no details)",
    "node": UNPARSED_NODE.format(time=TIME, op="Mystery", number=2, output="41")
    + UNPARSED_NODE.format(time=TIME, op="Riddle", number=5, output="44")
    + f"[{TIME}] [E] Failed to parse onnx file\n[{TIME}] [E] Engine set up failed",
    "skipped": "[W] [TRT] Tactic Device request: 600MB Available: 302MB. Device memory is "
    "insufficient to use tactic.\n[W] [TRT] Skipping tactic 33 due to OutOfMemory\n"
    "[E] Error[4]: Something else went wrong",
    "dla": "ImportError: libnvdla_compiler.so: cannot open shared object file: No such file",
    "zero": "[E] [TRT] Non-zero zero point is not supported. zero point must be zero",
    "kernel": "[E] Error[10]: Could not find any implementation for node conv1 + relu1.",
    "strong": "[E] [TRT] DequantizeLinear: FP16 scale not supported on this device",
    "other": "[E] An unknown error",
}


def main():
    arguments = dict(argument.partition("=")[::2] for argument in sys.argv[1:])
    print(f"&&&& RUNNING TensorRT.trtexec [TensorRT {BANNER}] # {' '.join(sys.argv)}", flush=True)
    if "--help" in arguments or not arguments:
        print("=== Model Options ===")
        print("\n".join(f"  {flag:<32}as documented" for flag in FLAGS["flags"]))
        return 0
    refuse_unknown_flags(arguments)
    fail(arguments)
    if "--onnx" in arguments:
        build(arguments)
    if "--loadEngine" in arguments:
        load(arguments)
    if "--exportTimes" in arguments:
        write_times(arguments)
    if "--loadInputs" in arguments:
        write_logits(arguments)
    print(f"&&&& PASSED TensorRT.trtexec [TensorRT {BANNER}] # {' '.join(sys.argv)}")
    return 0


def refuse_unknown_flags(arguments):
    known = {**FLAGS["flags"], **FLAGS.get("accepted_not_in_help", {})}
    for flag, value in arguments.items():
        kind = known.get(flag)
        if kind is None or (kind == "value" and not value) or (kind == "switch" and value):
            print(f"[E] Unknown option: {flag} {value}", file=sys.stderr)
            sys.exit(1)


def fail(arguments):
    if FAILS == "hung":
        print(f"[I] pid {os.getpid()}", flush=True)
        time.sleep(600)
    if FAILS == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if FAILS == "crashed":
        os.kill(os.getpid(), signal.SIGSEGV)
    if FAILS == "strong" and "--stronglyTyped" not in arguments:
        return
    if FAILS in FAILURE_OUTPUT:
        print(FAILURE_OUTPUT[FAILS], file=sys.stderr)
        print(f"&&&& FAILED TensorRT.trtexec [TensorRT {BANNER}]")
        sys.exit(1)


def build(arguments):
    """Write the note; a full disk leaves half of it."""
    graph = Path(arguments["--onnx"])
    engine = Path(arguments["--saveEngine"])
    with Path(arguments["--timingCacheFile"]).open("a") as cache:
        cache.write("timings")
    if FAILS == "empty":
        engine.touch()
    if FAILS in ("empty", "nothing"):
        return
    if "--useDLACore" in arguments:
        if "--int8" in arguments:
            text = Path(arguments["--calib"]).read_text()
            assert text.startswith(f"TRT-{BANNER[1:]}-EntropyCalibration2\n"), text[:60]
        print("[V] [TRT] [DlaLayer] {ForeignNode[conv1...fc1]}")
        print("[V] [TRT] [GpuLayer] SHUFFLE: flatten")
    note = {"graph": str(graph), "arguments": sys.argv[1:], "for": [BANNER, COMPUTE]}
    text = json.dumps(note)
    if FAILS == "disk":
        engine.write_text(text[: len(text) // 2])
        print("[E] Saving engine to file failed: No space left on device", file=sys.stderr)
        sys.exit(1)
    engine.write_text(text)
    if "--exportLayerInfo" in arguments and "STANDIN_NO_LAYERS" not in os.environ:
        text = "garbage {" if FAILS == "garbage" else json.dumps(layer_table(graph))
        Path(arguments["--exportLayerInfo"]).write_text(text)


def read_model(path):
    """Return a graph file's message, without the rest of onnx, whose import takes a second."""
    site.main()
    folder = Path(importlib.util.find_spec("onnx").origin).parent
    spec = importlib.util.spec_from_file_location("onnx_ml_pb2", folder / "onnx_ml_pb2.py")
    messages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(messages)
    return messages.ModelProto.FromString(Path(path).read_bytes())


def layer_table(graph):
    """Return one row per convolution or linear layer, and STANDIN_REFORMATS reformat layers."""
    nodes = read_model(graph).graph.node
    producer = {output: node.op_type for node in nodes for output in node.output}
    rows = [
        row(
            node.name,
            "Convolution" if node.op_type == "Conv" else "MatrixMultiply",
            "Int8" if producer.get(node.input[0]) == "DequantizeLinear" else "Half",
        )
        for node in nodes
        if node.op_type in ("Conv", "Gemm", "MatMul")
    ]
    count = int(os.environ.get("STANDIN_REFORMATS", "0"))
    rows += [
        row(f"Reformatting CopyNode for Input Tensor {i}", "Reformat", "Float")
        for i in range(count)
    ]
    ends = {"Bindings": ["images", "logits"]}
    if MAJOR >= 11:
        ends = {"I/O Tensors": [{"Name": "images", "IOMode": "Input", "DataType": "Float"}]}
    return {"Layers": rows, **ends}


def row(name, kind, type_):
    """Return a row; version 11 has a field for the type, older ones describe it in the format."""
    words = {
        "Int8": "Thirty-two wide channel vectorized row major Int8 format",
        "Half": "Channel major FP16 format where channel % 8 == 0",
        "Float": "Row major linear FP32 format",
    }[type_]
    tensor = {"Name": name, "Dimensions": [1]}
    tensor |= {"Format": words, "DataType": type_} if MAJOR >= 11 else {"Format/Datatype": words}
    return {
        "Name": name,
        "LayerType": "CaskLayer",
        "ParameterType": kind,
        "TacticName": "stand_in",
        "Inputs": [tensor],
        "Outputs": [tensor],
    }


def load(arguments):
    """Refuse an engine of another TensorRT or GPU; the wording is unverified."""
    note = json.loads(Path(arguments["--loadEngine"]).read_text())
    version, compute = note["for"]
    why = None
    if version != BANNER:
        why = "The engine plan file is not compatible with this version of TensorRT, expecting"
        why += f" library version {BANNER} got {version}, please rebuild."
    elif compute != COMPUTE:
        why = "The engine plan file is generated on an incompatible device, expecting compute"
        why += f" {COMPUTE} got compute {compute}, please rebuild."
    if why:
        print(f"[E] Error[6]: {why}\n[E] Engine deserialization failed", file=sys.stderr)
        sys.exit(1)
    return note


def write_times(arguments):
    precision = "INT8" if "int8" in Path(arguments["--loadEngine"]).name else "FP16"
    milliseconds = float(os.environ.get(f"STANDIN_{precision}_MS", "1.0"))
    runs = [{"computeMs": milliseconds + 0.01 * (i % 3 - 1), "latencyMs": 9.0} for i in range(9)]
    text = "garbage [" if FAILS == "garbage" else json.dumps(runs)
    Path(arguments["--exportTimes"]).write_text(text)


def write_logits(arguments):
    """Write ONNX Runtime's logits for the graph that the engine was built from."""
    site.main()
    import numpy as np
    import onnxruntime as ort

    graph = load(arguments)["graph"]
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (graph_input,) = session.get_inputs()
    name, _, file = arguments["--loadInputs"].partition(":")
    shape = [axis if isinstance(axis, int) else -1 for axis in graph_input.shape]
    kind = np.uint8 if "uint8" in graph_input.type else np.float32
    images = np.fromfile(file, kind).reshape(shape)
    logits = session.run(["logits"], {name: images})[0]
    if os.environ.get("STANDIN_ANSWERS") == "wrong":
        logits = -logits
    rows = [{"name": "logits", "dimensions": str(logits.shape), "values": logits.ravel().tolist()}]
    Path(arguments["--exportOutput"]).write_text(json.dumps(rows))


if __name__ == "__main__":
    sys.exit(main())
