"""int8 on CPUs that are not at hand, under QEMU: numbers, never times."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from pipeline.bias_snapping import snap_biases
from pipeline.fake_quantizers import Scheme, prepare, to_torch_quantizers
from pipeline.onnx_export import exported
from targets.instruction_sets import Cpu
from targets.onnxruntime_cpu import answer, open_session, rewritten
from targets.weights import store_weights_as_int8
from tests.conftest import ROOT
from tests.pipeline.test_bias_snapping import images, network_with_statistics

pytestmark = pytest.mark.slow

QEMU = shutil.which("qemu-x86_64-static") or shutil.which("qemu-x86_64")
AVX2 = Cpu("Haswell", "x86_64", "avx2")

SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from targets.onnxruntime_cpu import answer, open_session
graph, taken, given = map(Path, sys.argv[1:])
np.save(given, answer(open_session(graph), np.load(taken)))
"""


def on_haswell(graph, taken, folder):
    """Logits of a graph as ONNX Runtime optimises it for a CPU with AVX2 and without VNNI."""
    np.save(folder / "taken.npy", taken)
    packages = [str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))]
    subprocess.run(
        [
            *(QEMU, "-cpu", "Haswell", str(Path(sys.executable).resolve()), "-c", SCRIPT),
            *map(str, (graph, folder / "taken.npy", folder / "given.npy")),
        ],
        check=True,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(packages), "OMP_NUM_THREADS": "1"},
        timeout=600,
    )
    return np.load(folder / "given.npy")


@pytest.mark.skipif(
    QEMU is None or os.uname().machine != "x86_64", reason="needs qemu-user-static on x86"
)
def test_half_range_weights_do_not_saturate_on_avx2_and_full_range_ones_do(tmp_path):
    taken, apart = images(16).numpy(), {}
    for name, half in (("half", True), ("full", False)):
        quantized = prepare(network_with_statistics(), images(64), Scheme(half_range=half)).eval()
        snap_biases(quantized, images(2))
        graph = exported(to_torch_quantizers(quantized, images(2)), images(2), 17, None)
        path = tmp_path / f"{name}.onnx"
        onnx.save(rewritten(store_weights_as_int8(graph), AVX2), path)
        meant = answer(open_session(path, optimised=False), taken)
        given = on_haswell(path, taken, tmp_path)
        apart[name] = np.abs(given - meant).mean() / np.abs(meant).mean()
    assert apart["half"] < 0.02
    assert apart["full"] > 5 * apart["half"]
