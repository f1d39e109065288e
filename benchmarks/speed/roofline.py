"""What four networks cannot be faster than on every Jetson: floors, not latencies.

python -m benchmarks.speed.roofline
"""

import json
import tempfile
from pathlib import Path

import onnx
import torch

from benchmarks.machine import describe
from dfkd.images import ImageSpec
from dfkd.models import build
from pipeline.export.batch_norm_folding import folded
from pipeline.export.onnx_export import exported
from pipeline.teachers.torchvision_on_cpu import import_torchvision
from targets.catalogue.roofline import LAUNCH_US, Workload, latency_bounds, workload_of

RESULTS = Path(__file__).parents[1] / "results"

NETS = {
    "lenet5": ImageSpec((1, 32, 32), (0.5,), (0.25,)),
    "resnet20": ImageSpec((3, 32, 32), (0.5,) * 3, (0.25,) * 3),
    "resnet18": ImageSpec((3, 32, 32), (0.5,) * 3, (0.25,) * 3),
    "mobilenet-v2": ImageSpec((3, 224, 224), (0.5,) * 3, (0.25,) * 3),
}
"""ResNet-18 has the CIFAR stem; MobileNetV2 is torchvision's, at ImageNet's size."""

Row = dict[str, object]


def main() -> None:
    """Write results/roofline.json and roofline.md."""
    asked = {net: demand_of(net) for net in NETS}
    rows = [row for net, needs in asked.items() for row in _rows(net, needs)]
    (RESULTS / "roofline.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "roofline.md").write_text(_page(asked, rows))


def demand_of(net: str) -> Workload:
    """What one image asks for, from the exported graph."""
    spec = NETS[net]
    torch.manual_seed(0)
    if net == "mobilenet-v2":
        import_torchvision()
        from torchvision.models import mobilenet_v2

        network = mobilenet_v2(weights=None)
    else:
        network = build(net, spec, 10)
    model = exported(folded(network.eval()), torch.zeros(2, *spec.shape), 17, None)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "net.onnx"
        onnx.save(model, path)
        return workload_of(onnx.load(path))


def _rows(net: str, needs: Workload) -> list[Row]:
    rows: list[Row] = []
    for place, found in latency_bounds(needs):
        rows.append(
            {
                "net": net,
                "target": place.target.name,
                "mode": place.mode.name,
                "precision": place.precision,
                "arithmetic_ms": round(found.arithmetic, 6),
                "memory_ms": round(found.memory, 6),
                "launch_ms": round(found.launch, 6),
                "bound": found.bound,
            }
        )
    return rows


def _page(asked: dict[str, Workload], rows: list[Row]) -> str:
    needs = [
        f"- {net}: {found.macs:,} MACs, {found.weights:,} weights, {found.kernels} kernels"
        for net, found in asked.items()
    ]
    columns = list(rows[0])
    lines = [columns, ["---"] * len(columns), *([str(row[c]) for c in columns] for row in rows)]
    return (
        "# What a network cannot be faster than\n\n"
        "Floors for one image in each module's fastest power mode, in milliseconds; the largest of "
        "the three binds. They are no latencies and nothing here was measured on a device: dense "
        "peak of the GPU alone, weights, image and logits through memory once, activations on the "
        f"chip, {LAUNCH_US:g} us a kernel (assumed). Clocks and peaks are those of "
        "targets/catalogue/catalogue.json. CPU targets have no floor here: they are measured "
        "(speed.md).\n\n"
        + "\n".join(needs)
        + "\n\n"
        + "\n".join("| " + " | ".join(line) + " |" for line in lines)
        + f"\n\nCommand: `python -m benchmarks.speed.roofline`. "
        f"Machine (any will do): {describe()}.\n"
    )


if __name__ == "__main__":
    main()
