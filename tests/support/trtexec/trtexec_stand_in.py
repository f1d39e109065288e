#!/usr/bin/env python3
"""A stand-in for TensorRT's trtexec, which cannot run here: command line, files, failures; no GPU.

STANDIN_VERSION names the version whose flags it knows (trtexec_flags.json, from that version's own
help), STANDIN_FAILS a way to fail, STANDIN_COMPUTE the GPU it plays. An "engine" is a note of what
it was built from and for, and loads nowhere else; its layers are the graph's, its answers ONNX
Runtime's, its times STANDIN_INT8_MS and STANDIN_FP16_MS.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

VERSION = os.environ["STANDIN_VERSION"]
FAILS = os.environ.get("STANDIN_FAILS", "")
FLAGS = json.loads(Path(__file__).with_name("trtexec_flags.json").read_text())["versions"][VERSION]
MAJOR, MINOR = map(int, VERSION.split("."))
BANNER = f"v{MAJOR * 10_000 + MINOR * 100}" if MAJOR >= 10 else f"v{MAJOR * 1000 + MINOR * 100 + 1}"

COMPUTE = os.environ.get("STANDIN_COMPUTE", "8.7")

UNREAD = """\
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
"""Of a node that the parser cannot read, as quoted in zhangcheng828/TensorRT-Plugin#4."""

TIME = "11/22/2026-12:00:00"

SAID = {
    "memory": "[E] Error[2]: [virtualMemoryBuffer.cpp] Error Code 2: OutOfMemory (no details)",
    "node": UNREAD.format(time=TIME, op="Mystery", number=2, output="41")
    + UNREAD.format(time=TIME, op="Riddle", number=5, output="44")
    + f"[{TIME}] [E] Failed to parse onnx file\n[{TIME}] [E] Engine set up failed",
    "skipped": "[W] [TRT] Tactic Device request: 600MB Available: 302MB. Device memory is "
    "insufficient to use tactic.\n[W] [TRT] Skipping tactic 33 due to OutOfMemory\n"
    "[E] Error[4]: Something else went wrong",
    "dla": "ImportError: libnvdla_compiler.so: cannot open shared object file: No such file",
    "zero": "[E] [TRT] Non-zero zero point is not supported. zero point must be zero",
    "kernel": "[E] Error[10]: Could not find any implementation for node conv1 + relu1.",
    "strong": "[E] [TRT] DequantizeLinear: FP16 scale not supported on this device",
    "other": "[E] Something nobody has seen before",
}


def main():
    given = dict(argument.partition("=")[::2] for argument in sys.argv[1:])
    print(f"&&&& RUNNING TensorRT.trtexec [TensorRT {BANNER}] # {' '.join(sys.argv)}", flush=True)
    if "--help" in given or not given:
        print("=== Model Options ===")
        print("\n".join(f"  {flag:<32}as documented" for flag in FLAGS["flags"]))
        return 0
    refuse_strangers(given)
    fail(given)
    if "--onnx" in given:
        build(given)
    if "--loadEngine" in given:
        load(given)
    if "--exportTimes" in given:
        tell_times(given)
    if "--loadInputs" in given:
        answer(given)
    print(f"&&&& PASSED TensorRT.trtexec [TensorRT {BANNER}] # {' '.join(sys.argv)}")
    return 0


def refuse_strangers(given):
    known = {**FLAGS["flags"], **FLAGS.get("accepted_not_in_help", {})}
    for flag, value in given.items():
        kind = known.get(flag)
        if kind is None or (kind == "value" and not value) or (kind == "switch" and value):
            print(f"[E] Unknown option: {flag} {value}", file=sys.stderr)
            sys.exit(1)


def fail(given):
    if FAILS == "hung":
        print(f"[I] pid {os.getpid()}", flush=True)
        time.sleep(600)
    if FAILS == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if FAILS == "crashed":
        os.kill(os.getpid(), signal.SIGSEGV)
    if FAILS == "strong" and "--stronglyTyped" not in given:
        return
    if FAILS in SAID:
        print(SAID[FAILS], file=sys.stderr)
        print(f"&&&& FAILED TensorRT.trtexec [TensorRT {BANNER}]")
        sys.exit(1)


def build(given):
    """Note what it was built from and for; the half of a file is what a full disk leaves."""
    graph = Path(given["--onnx"])
    engine = Path(given["--saveEngine"])
    with Path(given["--timingCacheFile"]).open("a") as cache:
        cache.write("timings")
    if FAILS == "empty":
        engine.touch()
    if FAILS in ("empty", "nothing"):
        return
    if "--useDLACore" in given:
        if "--int8" in given:
            text = Path(given["--calib"]).read_text()
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
    if "--exportLayerInfo" in given and "STANDIN_NO_LAYERS" not in os.environ:
        text = "garbage {" if FAILS == "garbage" else json.dumps(layer_table(graph))
        Path(given["--exportLayerInfo"]).write_text(text)


def layer_table(graph):
    """One layer a convolution or linear layer, and as many reformats as STANDIN_REFORMATS says."""
    import onnx

    nodes = onnx.load(graph).graph.node
    made = {output: node.op_type for node in nodes for output in node.output}
    rows = [
        row(
            node.name,
            "Convolution" if node.op_type == "Conv" else "MatrixMultiply",
            "Int8" if made.get(node.input[0]) == "DequantizeLinear" else "Half",
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
    """11 gives a tensor's type a field of its own; before, it stands in the format's words."""
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


def load(given):
    """Refuse an engine of another TensorRT or GPU; [M]: TensorRT's words."""
    note = json.loads(Path(given["--loadEngine"]).read_text())
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


def tell_times(given):
    precision = "INT8" if "int8" in Path(given["--loadEngine"]).name else "FP16"
    milliseconds = float(os.environ.get(f"STANDIN_{precision}_MS", "1.0"))
    runs = [{"computeMs": milliseconds + 0.01 * (i % 3 - 1), "latencyMs": 9.0} for i in range(9)]
    text = "garbage [" if FAILS == "garbage" else json.dumps(runs)
    Path(given["--exportTimes"]).write_text(text)


def answer(given):
    """What ONNX Runtime answers to the graph the engine was built from."""
    import numpy as np
    import onnxruntime as ort

    graph = load(given)["graph"]
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    name, _, file = given["--loadInputs"].partition(":")
    shape = [axis if isinstance(axis, int) else -1 for axis in taken.shape]
    kind = np.uint8 if "uint8" in taken.type else np.float32
    images = np.fromfile(file, kind).reshape(shape)
    logits = session.run(["logits"], {name: images})[0]
    if os.environ.get("STANDIN_ANSWERS") == "wrong":
        logits = -logits
    rows = [{"name": "logits", "dimensions": str(logits.shape), "values": logits.ravel().tolist()}]
    Path(given["--exportOutput"]).write_text(json.dumps(rows))


if __name__ == "__main__":
    sys.exit(main())
