"""Score a bundle's compiled artifact on a real test set, in ONNX Runtime.

python -m benchmarks.score bundles/mnist-lenet5 --data mnist --folder DATA
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.data import READERS, load
from benchmarks.machine import describe
from dfkd.images import ImageSpec
from pipeline.bundle.bundle import open_bundle
from targets.cpu.session import open_session, predict


def main(
    bundle: Annotated[Path, typer.Argument(help="A bundle's folder.")],
    data: Annotated[str, typer.Option(help=f"One of {', '.join(READERS)}.")],
    folder: Annotated[Path, typer.Option(help="Where the data lies.", envvar="DATA")] = Path(
        "../shared/data"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Accuracy on all test images, of the int8 artifact and of its fp32 twin."""
    result = score(bundle, data, folder)
    if as_json:
        print(json.dumps(result))
    else:
        print(f"int8 {result['accuracy']:.2f} %, fp32 {result['fp32_accuracy']:.2f} %")


def score(bundle: Path, data: str, folder: Path) -> dict[str, Any]:
    """One row of a result table; accuracies in percent."""
    manifest = open_bundle(bundle)
    section = manifest["input"]
    spec = ImageSpec(
        tuple(section["shape"]),
        tuple(section["mean"]),
        tuple(section["std"]),
        tuple(section["value_range"]),
    )
    images, labels = load(data, folder, train=False, spec=spec)
    target = next(iter(manifest["targets"].values()))
    scores = {
        precision: _accuracy(bundle / target[precision]["file"], images, labels)
        for precision in ("int8", "fp32")
    }
    return {
        "name": manifest["name"],
        "data": data,
        "images": len(images),
        "accuracy": scores["int8"],
        "fp32_accuracy": scores["fp32"],
        "agreement_on_probes": round(100 * manifest["verdict"]["agreement"], 2),
        "verdict": manifest["verdict"]["outcome"],
        "seed": manifest["run"]["seed"],
        "machine": describe(),
    }


def _accuracy(model: Path, images: torch.Tensor, labels: torch.Tensor) -> float:
    answers = predict(open_session(model), images.numpy()).argmax(1)
    return round(100 * float(np.mean(answers == labels.numpy())), 2)


if __name__ == "__main__":
    typer.run(main)
