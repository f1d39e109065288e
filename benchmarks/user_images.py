"""Score a bundle on a data set that is stored as picture files, and compare every prediction.

python -m benchmarks.user_images BUNDLE --data mnist --folder DATA

The files are PNGs in one folder for each class. The predictions of `datafree-edge score` are
compared with those for the same images when torchvision resizes them (the same pixels), and when
they are resized without rounding to 8 bits, as `benchmarks.score` does. Writes a row of
results/user_images.json, which replaces an earlier row of the same name, and user_images.md.
"""

import json
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from PIL import Image

from benchmarks import result_pages
from benchmarks.data import READERS, load_data_set
from benchmarks.job_queue import Row
from benchmarks.machine import describe_machine
from dfkd.images import ImageSpec
from pipeline.bundle.opening import open_bundle
from pipeline.teachers.networks import image_spec
from pipeline.teachers.torchvision_on_cpu import import_torchvision
from pipeline.training.progress import reporter
from pipeline.user_images.bundle_models import BundleModels, bundle_models
from pipeline.user_images.labels import labels_by_folder
from pipeline.user_images.reading import picture_files
from pipeline.user_images.score import score
from pipeline.user_images.scoring import Answers, answer
from targets.cpu.session import predict

COLUMNS = (
    "name",
    "data",
    "images",
    "accuracy",
    "fp32_accuracy",
    "same_pixels",
    "fp32_same_pixels",
    "unrounded",
    "fp32_unrounded",
    "seconds",
    "images_per_s",
)


def main(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    data: Annotated[str, typer.Option(help=f"One of {', '.join(READERS)}.")],
    folder: Annotated[Path, typer.Option(help="Folder with the data sets.")],
) -> None:
    """Measure one row of the table."""
    manifest = open_bundle(bundle)
    models = bundle_models(bundle, manifest)
    row = {"name": manifest["name"], "data": data, **measure(models, data, folder)}
    path = result_pages.RESULTS / "user_images.json"
    rows: list[Row] = json.loads(path.read_text()) if path.exists() else []
    rows = [each for each in rows if each["name"] != row["name"]] + [row]
    path.write_text(json.dumps(sorted(rows, key=lambda each: each["name"]), indent=1) + "\n")
    path.with_suffix(".md").write_text(render(rows))


def measure(models: BundleModels, data: str, folder: Path) -> Row:
    """Return the figures of a row.

    Args:
        models: The bundle's models.
        data: A key of `READERS`.
        folder: Contains the data set.
    """
    pixels, labels = READERS[data](folder, False)
    with tempfile.TemporaryDirectory() as name:
        pictures = Path(name)
        write_pictures(pictures, pixels, labels)
        files = picture_files(pictures)
        names = [path.relative_to(pictures).as_posix() for path in files]
        given = labels_by_folder(names, pictures, models.class_names, models.classes)
        runners = {precision: models.runner(precision) for precision in models.files}
        with reporter() as progress:
            answers = answer(files, models.input, runners, progress)
        figures = score(answers, pictures, given, models)
    spec = image_spec(models.input)
    row: Row = {"images": len(files)}
    for precision, prefix in (("int8", ""), ("fp32", "fp32_")):
        chosen = in_order(answers, precision)
        row[f"{prefix}accuracy"] = round(100 * figures.accuracy[precision].share, 2)
        for name, images in (
            ("same_pixels", spec.normalise(_resized_by_torchvision(pixels, spec))),
            ("unrounded", load_data_set(data, folder, train=False, spec=spec)[0]),
        ):
            session = models.open(precision)
            expected = predict(session, images.numpy()).argmax(1)
            row[f"{prefix}{name}"] = int((chosen == expected).sum())
    return {
        **row,
        "seconds": round(answers.seconds, 1),
        "images_per_s": round(len(files) / answers.seconds),
        "machine": describe_machine(),
    }


def write_pictures(folder: Path, pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> None:
    """Write images (N, C, H, W) as FOLDER/LABEL/POSITION.png."""
    for index, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        _as_picture(image).save(folder / str(label) / f"{index:06}.png")


def in_order(answers: Answers, model: str) -> NDArray[np.int64]:
    """Return a model's answers in the order of the data set."""
    positions = np.array([int(path.stem) for path in answers.files])
    classes: NDArray[np.int64] = answers.classes[model][np.argsort(positions)]
    return classes


def render(rows: list[Row]) -> str:
    """Return the page as Markdown."""
    commands = "\n".join(
        f"- `python -m benchmarks.user_images BUNDLE --data {row['data']} --folder DATA` "
        f"({row['name']}). Machine: {row['machine']}"
        for row in rows
    )
    table = result_pages.markdown_table(COLUMNS, [[row[c] for c in COLUMNS] for row in rows])
    return (
        "# `datafree-edge score` on picture files\n\n"
        "The test images are PNG files in one folder for each class. Accuracies are in percent. "
        "`same_pixels` is the number of images for which `score` predicts the same class as for "
        "the same image resized by torchvision. `unrounded` is the number for which it predicts "
        "the same class as for the image resized without rounding to 8 bits, as in "
        "`benchmarks.score`. `seconds` is the time for reading and preparing the files and running "
        "both models.\n\n"
        f"{table}\n\n{commands}\n"
    )


def _resized_by_torchvision(pixels: NDArray[np.uint8], spec: ImageSpec) -> torch.Tensor:
    """Return images (N, C, H, W) of the spec's size, in its value range."""
    transforms = import_torchvision().transforms
    prepared = transforms.Compose(
        [transforms.Resize(list(spec.shape[1:])), transforms.PILToTensor()]
    )
    low, high = spec.value_range
    stacked = torch.stack([prepared(_as_picture(image)) for image in pixels])
    return low + (high - low) * stacked.float() / 255


def _as_picture(image: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))


if __name__ == "__main__":
    typer.run(main)
