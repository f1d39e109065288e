"""int8 results on other CPUs, emulated by QEMU. Nothing is timed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from pipeline.export.onnx_export import export_onnx
from pipeline.quantization.bias_snapping import snap_biases
from pipeline.quantization.fake_quantizers import prepare, to_torch_quantizers
from pipeline.quantization.scheme import Scheme
from targets.catalogue.instruction_sets import Cpu
from targets.cpu.session import open_session, predict, rewrite_for_cpu
from targets.graph.int8_weights import store_weights_as_int8
from tests.pipeline.quantization.test_bias_snapping import images, network_with_statistics

pytestmark = pytest.mark.slow

QEMU = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
AVX2 = Cpu("Haswell", "x86_64", "avx2")

ARM_QEMU = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
ARM_ROOT = os.environ.get("DATAFREE_EDGE_ARM_ROOT", "")
ARM_CPUS = {
    "cortex-a76": (Cpu("Cortex-A76", "aarch64", "dotprod"), "0xd0b", "asimddp"),
    "cortex-a57": (Cpu("Cortex-A57", "aarch64", "none"), "0xd07", ""),
    "max": (Cpu("Neoverse-N2", "aarch64", "i8mm"), "0xd49", "asimddp i8mm"),
}
"""Emulated CPUs: the CPU, its part number and the flags that ONNX Runtime reads."""

SCRIPT = """
import sys
import numpy as np
import onnxruntime as ort
graph, taken, given, optimised = sys.argv[1:]
options = ort.SessionOptions()
options.intra_op_num_threads = 1
if optimised == "off":
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
np.save(given, session.run(["logits"], {"images": np.load(taken)})[0])
"""


def under(emulator, packages, graph, taken, optimised="on"):
    """Return the logits of a graph from ONNX Runtime on an emulated CPU."""
    folder = graph.parent
    np.save(folder / "taken.npy", taken)
    files = (graph, folder / "taken.npy", folder / "given.npy", optimised)
    subprocess.run(
        [*emulator, "-c", SCRIPT, *map(str, files)],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": packages, "OMP_NUM_THREADS": "1"},
        timeout=600,
    )
    return np.load(folder / "given.npy")


def on_haswell(graph, taken):
    """Return logits from a CPU with AVX2 and without VNNI."""
    packages = os.pathsep.join(path for path in sys.path if path.endswith("site-packages"))
    emulator = (QEMU, "-cpu", "Haswell", str(Path(sys.executable).resolve()))
    return under(emulator, packages, graph, taken)


def on_arm(model, graph, taken, optimised):
    """Return logits from one of `ARM_CPUS`, in the root made by tests/support/arm_root.sh."""
    _, part, extra = ARM_CPUS[model]
    root = Path(ARM_ROOT) / "root"
    fields = {
        "processor": "0",
        "Features": f"fp asimd evtstrm aes pmull sha1 sha2 crc32 {extra}".strip(),
        "CPU implementer": "0x41",
        "CPU architecture": "8",
        "CPU variant": "0x3",
        "CPU part": part,
        "CPU revision": "1",
    }
    # Otherwise the guest reads the host's /proc/cpuinfo, of another architecture, and crashes.
    (root / "proc").mkdir(exist_ok=True)
    text = "".join(f"{name}\t: {value}\n" for name, value in fields.items())
    (root / "proc" / "cpuinfo").write_text(text + "\n")
    emulator = (ARM_QEMU, "-cpu", model, "-L", str(root), str(root / "usr/bin/python3.11"))
    return under(emulator, str(Path(ARM_ROOT) / "packages"), graph, taken, optimised)


def graph_for(cpu, path, half_range=False):
    """Write a small quantized residual network, its biases snapped, rewritten for `cpu`."""
    quantized = prepare(network_with_statistics(), images(64), Scheme(half_range=half_range)).eval()
    snap_biases(quantized, images(2))
    graph = export_onnx(to_torch_quantizers(quantized), images(2), 17, None)
    onnx.save(rewrite_for_cpu(store_weights_as_int8(graph), cpu), path)
    return path


def difference(given, meant):
    """Return the mean difference of logits as a share of their mean size."""
    return np.abs(given - meant).mean() / np.abs(meant).mean()


@pytest.mark.skipif(
    QEMU is None or os.uname().machine != "x86_64", reason="needs qemu-user-static on x86"
)
def test_full_range_weights_saturate_on_avx2_and_half_range_weights_do_not(tmp_path):
    taken, distances = images(16).numpy(), {}
    for half in (True, False):
        path = graph_for(AVX2, tmp_path / "graph.onnx", half)
        meant = predict(open_session(path, optimized=False), taken)
        distances[half] = difference(on_haswell(path, taken), meant)
    assert distances[True] < 0.02
    assert distances[False] > 5 * distances[True]


@pytest.mark.skipif(
    ARM_QEMU is None or not ARM_ROOT,
    reason="needs qemu-user-static, and DATAFREE_EDGE_ARM_ROOT (tests/support/arm_root.sh)",
)
@pytest.mark.parametrize("model", ARM_CPUS)
def test_arm_gives_the_results_of_the_graph(model, tmp_path):
    taken = images(16).numpy()
    path = graph_for(ARM_CPUS[model][0], tmp_path / "graph.onnx")
    meant = predict(open_session(path, optimized=False), taken)
    np.testing.assert_array_equal(on_arm(model, path, taken, "off"), meant)
    assert difference(on_arm(model, path, taken, "on"), meant) < 0.02
