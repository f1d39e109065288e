"""Score a bundle's compiled graph on a real test set, in ONNX Runtime.

python -m benchmarks.score bundles/mnist-lenet5 --data mnist --folder DATA
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.data import READERS, load_data_set
from benchmarks.machine import describe_machine
from dfkd.images import ImageSpec
from pipeline.bundle.opening import open_bundle
from targets.cpu.session import open_session, predict


def main(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    data: Annotated[str, typer.Option(help=f"One of {', '.join(READERS)}.")],
    folder: Annotated[Path, typer.Option(help="Folder with the data sets.", envvar="DATA")] = Path(
        "data"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print the accuracy of the int8 graph and of the float graph on all test images."""
    result = score_bundle(bundle, data, folder)
    if as_json:
        print(json.dumps(result))
    else:
        print(f"int8 {result['accuracy']:.2f} %, fp32 {result['fp32_accuracy']:.2f} %")


def score_bundle(bundle: Path, data: str, folder: Path) -> dict[str, Any]:
    """Return a bundle's row of a result table; accuracies are in percent.

    Args:
        bundle: Folder of the bundle; its first target is scored.
        data: A key of `READERS`.
        folder: Contains the data set.
    """
    manifest = open_bundle(bundle)
    section = manifest["input"]
    spec = ImageSpec(
        tuple(section["shape"]),
        tuple(section["mean"]),
        tuple(section["std"]),
        tuple(section["value_range"]),
    )
    images, labels = load_data_set(data, folder, train=False, spec=spec)
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
        "machine": describe_machine(),
    }


def _accuracy(model: Path, images: torch.Tensor, labels: torch.Tensor) -> float:
    predicted = predict(open_session(model), images.numpy()).argmax(1)
    return round(100 * float(np.mean(predicted == labels.numpy())), 2)


if __name__ == "__main__":
    typer.run(main)
