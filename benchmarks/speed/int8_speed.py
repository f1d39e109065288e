"""How fast int8 is in ONNX Runtime against float32 of the same net, one thread, in one run.

python -m benchmarks.speed.int8_speed

Weights do not matter for speed: the nets are freshly initialised, their ranges calibrated on noise.
Both graphs are opened with the same session options; each gets the layout that ONNX Runtime finds
best for it when it is opened.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
import typer

from benchmarks.machine import describe
from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.export.batch_norm_folding import folded
from pipeline.export.onnx_export import exported
from pipeline.quantization.fake_quantizers import Scheme, prepare, to_torch_quantizers
from targets.catalogue.instruction_sets import this_cpu
from targets.cpu.session import compile_graph, rewrite_graph_file, time_interleaved
from targets.graph.int8_weights import store_weights_as_int8

RESULTS = Path(__file__).parents[1] / "results"

NETS = {"resnet18": 3, "resnet20": 3, "resnet56": 3, "lenet5": 1}
"""Channels of the 32x32 images, by architecture; ResNet-18 has the CIFAR stem."""

BATCHES = {1: 200, 32: 20}
"""Runs of each graph, by batch."""


def main() -> None:
    """Measure all, and write results/speed.json and speed.md."""
    rows = [row for net, channels in NETS.items() for row in measure(net, channels)]
    (RESULTS / "speed.json").write_text(json.dumps(rows, indent=1) + "\n")
    columns = ("net", "batch", "fp32_ms", "int8_ms", "ratio", "fp32_bytes", "int8_bytes", "share")
    lines = [columns, ("---",) * len(columns), *([str(row[c]) for c in columns] for row in rows)]
    (RESULTS / "speed.md").write_text(
        "# int8 against float32 in ONNX Runtime\n\n"
        "Median milliseconds a run, one thread, both measured in turns; `ratio` is how many times "
        "faster int8 is, `share` its file over fp32's.\n\n"
        + "\n".join("| " + " | ".join(line) + " |" for line in lines)
        + f"\n\nCommand: `python -m benchmarks.speed.int8_speed`. Machine: {describe()}, "
        "int8 kernels: "
        f"{this_cpu().int8}.\n"
    )


def measure(net: str, channels: int) -> list[dict[str, object]]:
    """A row for each batch."""
    spec = ImageSpec((channels, 32, 32), (0.5,) * channels, (0.25,) * channels)
    torch.manual_seed(0)
    network = build(net, spec, 10).eval()
    noise = torch.randn(64, *spec.shape)
    half = this_cpu().saturates
    quantized = to_torch_quantizers(prepare(network, noise, Scheme(half_range=half)), noise[:2])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        graphs = {
            "fp32": exported(folded(network), noise[:2], 17, None),
            "int8": store_weights_as_int8(exported(quantized, noise[:2], 17, None)),
        }
        paths, sizes = {}, {}
        for precision, model in graphs.items():
            graph = folder / f"{precision}.onnx"
            onnx.save(model, graph)
            sizes[precision] = graph.stat().st_size
            handed = rewrite_graph_file(graph, folder / f"handed.{precision}.onnx", this_cpu())
            paths[precision] = compile_graph(handed, folder / f"compiled.{precision}.onnx").path
        rows: list[dict[str, object]] = []
        for batch, repeats in BATCHES.items():
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
                    "machine": describe(),
                    "command": "python -m benchmarks.speed.int8_speed",
                }
            )
    return rows


if __name__ == "__main__":
    typer.run(main)
