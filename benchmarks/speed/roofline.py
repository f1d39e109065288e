"""Compute lower bounds on the latency of four networks on every Jetson. Nothing is measured.

python -m benchmarks.speed.roofline
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import onnx
import torch
import typer

from benchmarks.job_queue import Row
from benchmarks.result_pages import RESULTS, markdown_table
from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.export.onnx_export import export_onnx
from pipeline.teachers.torchvision_on_cpu import import_torchvision
from pipeline.tracing.batch_norm_folding import fixed_form
from targets.catalogue.roofline import LAUNCH_US, Workload, latency_bounds, workload_of

NETS = {
    "lenet5": ImageSpec((1, 32, 32), (0.5,), (0.25,)),
    "resnet20": ImageSpec((3, 32, 32), (0.5,) * 3, (0.25,) * 3),
    "resnet18": ImageSpec((3, 32, 32), (0.5,) * 3, (0.25,) * 3),
    "mobilenet-v2": ImageSpec((3, 224, 224), (0.5,) * 3, (0.25,) * 3),
}
"""Inputs by network: ResNet-18 has the CIFAR stem, MobileNetV2 is torchvision's for ImageNet."""


def main() -> None:
    """Write results/roofline.json and roofline.md."""
    demands = {net: demand_of(net) for net in NETS}
    rows = [row for net, needed in demands.items() for row in _rows(net, needed)]
    (RESULTS / "roofline.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "roofline.md").write_text(render(demands, rows))


def demand_of(net: str) -> Workload:
    """Return what a network needs for one image, counted in its exported graph."""
    spec = NETS[net]
    torch.manual_seed(0)
    if net == "mobilenet-v2":
        import_torchvision()
        from torchvision.models import mobilenet_v2

        network: Any = mobilenet_v2(weights=None)
    else:
        network = build(net, spec, 10)
    images = torch.zeros(2, *spec.shape)
    model = export_onnx(fixed_form(network.eval(), images), images, 17, None)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "net.onnx"
        onnx.save(model, path)
        return workload_of(onnx.load(path))


def _rows(net: str, needed: Workload) -> list[Row]:
    return [
        {
            "net": net,
            "target": place.target.name,
            "mode": place.mode.name,
            "precision": place.precision,
            "arithmetic_ms": round(bound.arithmetic, 6),
            "memory_ms": round(bound.memory, 6),
            "launch_ms": round(bound.launch, 6),
            "bound": bound.bound,
        }
        for place, bound in latency_bounds(needed)
    ]


def render(demands: dict[str, Workload], rows: list[Row]) -> str:
    """Return the page as Markdown."""
    needs = [
        f"- {net}: {needed.macs:,} MACs, {needed.weights:,} weights, {needed.kernels} kernels"
        for net, needed in demands.items()
    ]
    return (
        "# Lower bounds on latency (roofline)\n\n"
        "Lower bounds for one image, in milliseconds, in the fastest power mode of each module. "
        "The largest of the three bounds is the one that counts; `bound` names it. These are "
        "computed, not measured: `arithmetic_ms` is the number of operations over the peak rate "
        "of the GPU for dense matrices; `memory_ms` is the time to move weights, image and logits "
        "through memory once, with all activations kept on the chip; `launch_ms` assumes "
        f"{LAUNCH_US:g} us for each kernel. Clock rates and peaks are from "
        "targets/catalogue/catalogue.json. CPU targets are measured instead (speed.md).\n\n"
        + "\n".join(needs)
        + "\n\n"
        + markdown_table(list(rows[0]), [list(row.values()) for row in rows])
        + "\n\nCommand: `python -m benchmarks.speed.roofline`; the result is the same on every "
        "machine.\n"
    )


if __name__ == "__main__":
    typer.run(main)
