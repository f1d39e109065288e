"""Measure int8 against float32 in ONNX Runtime: same networks, one thread, in one process.

python -m benchmarks.speed.int8_speed

Weights do not matter for speed, so the networks have initial weights and their ranges are
calibrated on noise. Both graphs are opened with the same session options; ONNX Runtime optimizes
each of them when it opens it.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
import typer

from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from benchmarks.result_pages import RESULTS, markdown_table
from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.export.onnx_export import export_onnx
from pipeline.quantization.fake_quantizers import prepare, to_torch_quantizers
from pipeline.quantization.scheme import Scheme
from pipeline.tracing.batch_norm_folding import fixed_form
from targets.catalogue.instruction_sets import this_cpu
from targets.cpu.session import compile_graph, rewrite_graph_file, time_interleaved
from targets.graph.int8_weights import store_weights_as_int8

CHANNELS = {"resnet18": 3, "resnet20": 3, "resnet56": 3, "lenet5": 1}
"""Channels of the 32x32 images, by architecture."""

RUNS = {1: 200, 32: 20}
"""Timed runs of each graph, by batch size."""

COLUMNS = ("net", "batch", "fp32_ms", "int8_ms", "ratio", "fp32_bytes", "int8_bytes", "share")


def main() -> None:
    """Measure all rows; write results/speed.json and speed.md."""
    rows = [row for net, channels in CHANNELS.items() for row in measure(net, channels)]
    (RESULTS / "speed.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "speed.md").write_text(render(rows))


def render(rows: list[Row]) -> str:
    """Return the page as Markdown."""
    return (
        "# int8 against float32 in ONNX Runtime\n\n"
        "Median milliseconds of a run on one thread; the two graphs are run in turns. `ratio` is "
        "the float time over the int8 time, `share` the size of the int8 file over that of the "
        "float file. ResNet-18 has the CIFAR stem.\n\n"
        + markdown_table(COLUMNS, [[row[name] for name in COLUMNS] for row in rows])
        + f"\n\nCommand: `{rows[0]['command']}`. Machine: {rows[0]['machine']}, int8 kernels: "
        f"{rows[0]['int8_kernels']}.\n"
    )


def measure(net: str, channels: int) -> list[Row]:
    """Return one row for each batch size."""
    spec = ImageSpec((channels, 32, 32), (0.5,) * channels, (0.25,) * channels)
    torch.manual_seed(0)
    network = build(net, spec, 10).eval()
    noise = torch.randn(64, *spec.shape)
    half = this_cpu().saturates
    quantized = to_torch_quantizers(prepare(network, noise, Scheme(half_range=half)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        graphs = {
            "fp32": export_onnx(fixed_form(network, noise[:2]), noise[:2], 17, None),
            "int8": store_weights_as_int8(export_onnx(quantized, noise[:2], 17, None)),
        }
        paths, sizes = {}, {}
        for precision, model in graphs.items():
            graph = folder / f"{precision}.onnx"
            onnx.save(model, graph)
            sizes[precision] = graph.stat().st_size
            rewritten = rewrite_graph_file(
                graph, folder / f"rewritten.{precision}.onnx", this_cpu()
            )
            paths[precision] = compile_graph(rewritten, folder / f"compiled.{precision}.onnx").path
        rows: list[Row] = []
        for batch, repeats in RUNS.items():
            images = np.random.default_rng(0).normal(size=(batch, *spec.shape))
            times = time_interleaved(paths, images.astype(np.float32), repeats)
            rows.append(
                {
                    "net": net,
                    "batch": batch,
                    "fp32_ms": round(times["fp32"], 3),
                    "int8_ms": round(times["int8"], 3),
                    "ratio": round(times["fp32"] / times["int8"], 2),
                    "fp32_bytes": sizes["fp32"],
                    "int8_bytes": sizes["int8"],
                    "share": round(sizes["int8"] / sizes["fp32"], 3),
                    "int8_kernels": this_cpu().int8,
                    "machine": describe_machine(),
                    "command": "python -m benchmarks.speed.int8_speed",
                }
            )
    return rows


if __name__ == "__main__":
    typer.run(main)
